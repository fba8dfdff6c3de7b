"use strict";

/* Joins filters, grid, sample, selection and the address. */
const KEYS = [
  ["?", "show this list", "show this list"],
  ["/", "search a name", ""],
  ["f", "show or hide the filters", ""],
  ["← → ↑ ↓ Page Home End", "move", "← or k, → or j: previous, next sample"],
  ["Enter", "open the sample", ""],
  ["x", "select, or deselect", "select, or deselect"],
  ["l", "labels over the thumbnails", ""],
  ["1 to 9", "", "show or hide a layer; with Shift in the right pane"],
  ["b", "", "side by side"],
  ["p", "", "numbers of persons"],
  ["[ ]", "", "less, more opacity"],
  ["m", "", "next blend mode"],
  ["+ - 0", "", "zoom in, out, fit"],
  ["Esc", "", "close"],
];

class Page {
  constructor(site, columns) {
    this.site = site;
    this.columns = columns;
    this.known = measures(site, columns);
    this.shared = sharedGroups(columns);
    this.places = new Map(columns.name.map((name, i) => [`${site.splits[columns.split[i]]}/${name}`, i]));
    this.storage = `mhp browse ${site.content || site.name}`;
    this.chosen = new Set(this.stored());
    this.title();
    this.grid = new Grid(byId("grid"), this);
    this.view = new SampleView(this);
    this.buildForm();
    this.buildActions();
    byId("keys").replaceChildren(...KEYS.map(([key, grid, sample]) =>
      make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, grid), make("td", {}, sample))));
    byId("help-open").onclick = () => byId("help").showModal();
    byId("help-close").onclick = () => byId("help").close();
    byId("skip").onclick = (event) => { event.preventDefault(); this.grid.activate(this.grid.active); };
    byId("filters").ontoggle = () => byId("page").classList.toggle("wide", !byId("filters").open);
    if (matchMedia("(max-width: 900px)").matches) byId("filters").open = false;
    addEventListener("hashchange", () => this.follow());
    addEventListener("keydown", (event) => this.onKey(event));
    this.follow();
  }

  title() {
    const { site, columns } = this;
    byId("title").replaceChildren("Packed folder ", make("bdi", {}, site.name));
    const facts = [`${grouped(columns.name.length)} samples`, `layout ${site.layout}`, `overlap rule ${site.pack.overlap}`];
    if (site.models.length) facts.push(`predictions ${site.models.join(" and ")}`);
    if (site.other) facts.push(`against ${site.other}`);
    if (site.skipped) facts.push(`${grouped(site.skipped)} entries skipped by the pack`);
    byId("about").textContent = facts.join(" · ");
    if (!columns.name.length) byId("nothing").textContent = "The splits of this page have no samples.";
  }

  /* The address of a sample's files; numbers only, never a name of the dataset. */
  thumb(i) {
    return `thumbs/${this.columns.split[i]}/${this.block(i)}.jpg`;
  }

  layers(i) {
    return `full/${this.columns.split[i]}/${this.block(i)}`;
  }

  block(i) {
    const index = this.columns.index[i];
    return `${String(Math.floor(index / 1000)).padStart(3, "0")}/${String(index).padStart(6, "0")}`;
  }

  label(i) {
    return `${this.site.splits[this.columns.split[i]]}/${this.columns.name[i]}`;
  }

  note(i) {
    const measure = this.known.find(({ key }) => key === this.state.sort);
    const persons = this.columns.persons[i];
    const parts = [this.site.splits[this.columns.split[i]], `${persons} person${persons === 1 ? "" : "s"}`];
    if (measure && measure.key !== "persons") {
      const value = measure.values[i];
      parts[1] = value === UNKNOWN ? "unknown" : (value / (measure.scale || 1)).toLocaleString("en-US", { maximumFractionDigits: 1 });
    }
    return parts.join(" · ");
  }

  address(i) {
    const parameters = this.parameters();
    parameters.set("sample", this.label(i));
    return `#${parameters}`;
  }

  parameters() {
    const parameters = new URLSearchParams();
    writeState(this.state, parameters);
    return parameters;
  }

  /* Applies the address: after a change of it, and at the start. */
  follow() {
    const text = location.hash.slice(1);
    if (text === this.written || text === this.own) return; /* a change that this page has made */
    this.written = text;
    const parameters = new URLSearchParams(text);
    this.state = readState(parameters, this.site, this.known);
    this.fillForm();
    this.apply(false);
    const sample = this.places.get(parameters.get("sample"));
    if (sample === undefined) {
      if (this.view.dialog.open) this.view.dialog.close();
      return;
    }
    this.view.read(parameters);
    const at = this.grid.shown.indexOf(sample);
    if (at >= 0) this.grid.activate(at, false);
    this.view.open(sample);
  }

  /* Writes the state into the address, without a new entry in the history. */
  remember() {
    const parameters = this.parameters();
    if (this.view.dialog.open) {
      parameters.set("sample", this.label(this.view.sample));
      this.view.write(parameters);
    }
    const text = String(parameters);
    if (text === this.written) return;
    this.written = text;
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      this.own = text;
      location.replace(`#${text}`);
    }, 150);
  }

  open(at) {
    this.grid.activate(at, false);
    const sample = this.grid.shown[at];
    if (!this.view.dialog.open) { /* a new entry in the history: the browser's Back closes the sample */
      clearTimeout(this.writing);
      this.own = this.written = this.address(sample).slice(1);
      location.hash = this.own;
    }
    this.view.open(sample);
  }

  closed() {
    this.remember();
    this.grid.activate(this.grid.active);
  }

  step(by) {
    const at = this.grid.shown.indexOf(this.view.sample) + by;
    if (at >= 0 && at < this.grid.shown.length) this.open(at);
  }

  apply(remember = true) {
    const begun = performance.now();
    const shown = choose(this.state, this.site, this.columns, this.known, this.chosen, this.shared);
    this.grid.show(shown);
    byId("nothing").hidden = shown.length > 0;
    const active = countActive(this.state);
    byId("active").textContent = active ? `(${active})` : "";
    this.tell();
    if (remember) this.remember();
    this.took = performance.now() - begun;
  }

  tell() {
    const all = this.columns.name.length, shown = this.grid.shown.length;
    const selected = this.chosen.size ? `, ${grouped(this.chosen.size)} selected` : "";
    byId("status").textContent = `${shown === all ? "All" : `${grouped(shown)} of`} ${grouped(all)} samples${selected}`;
    for (const button of [this.saveButton, this.copyButton, this.noneButton]) button.disabled = !this.chosen.size;
  }

  select(samples, on) {
    for (const sample of samples) {
      if (on) this.chosen.add(sample);
      else this.chosen.delete(sample);
    }
    byId("sample-chosen").checked = this.chosen.has(this.view.sample);
    this.grid.mark();
    this.tell();
    this.store();
  }

  /* The selection survives a reload where the browser lets pages from disk keep data. */
  stored() {
    try {
      return JSON.parse(localStorage.getItem(this.storage) || "[]").map((label) => this.places.get(label)).filter((i) => i !== undefined);
    } catch {
      return [];
    }
  }

  store() {
    try {
      localStorage.setItem(this.storage, JSON.stringify([...this.chosen].map((i) => this.label(i))));
    } catch { /* it lasts as long as the page */ }
  }

  /* The selection as lines; a name that holds a line end cannot be in a list of lines. */
  names() {
    const labels = [...this.chosen].sort((a, b) => a - b).map((i) => this.label(i));
    return labels.filter((label) => !/[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/.test(label)).map((label) => `${label}\n`).join("");
  }

  buildActions() {
    const button = (text, onclick) => make("button", { type: "button", onclick }, text);
    this.saveButton = button("Save names", () => {
      const link = make("a", { download: "names.txt", href: URL.createObjectURL(new Blob([this.names()], { type: "text/plain" })) });
      document.body.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
    this.copyButton = button("Copy names", async () => {
      let done = true;
      try {
        await navigator.clipboard.writeText(this.names());
      } catch {
        const area = make("textarea", { value: this.names() });
        document.body.append(area);
        area.select();
        done = document.execCommand("copy");
        area.remove();
      }
      byId("status").textContent = done ? `Copied ${grouped(this.chosen.size)} names` : "The browser does not allow copying: save the names";
    });
    this.noneButton = button("Select none", () => { this.select([...this.chosen], false); if (this.state.view === "chosen") this.apply(); });
    this.overlayButton = make("button", { type: "button", "aria-pressed": "false", onclick: () => this.overlay() }, "Labels");
    byId("actions").replaceChildren(
      this.overlayButton, button("Select all shown", () => this.select(this.grid.shown, true)),
      this.noneButton, this.saveButton, this.copyButton,
    );
  }

  overlay() {
    this.grid.overlay();
    this.overlayButton.setAttribute("aria-pressed", String(this.grid.overlaid));
  }

  buildForm() {
    const { site, known } = this;
    const form = byId("form");
    form.onsubmit = (event) => event.preventDefault();
    this.search = make("input", { type: "search", id: "search", autocomplete: "off", spellcheck: false });
    this.search.oninput = () => { this.state.q = this.search.value; this.apply(); };
    this.sort = make("select", {}, ...[["", "dataset"], ["name", "name"], ...known.map(({ key, title }) => [key, title])]
      .map(([value, title]) => make("option", { value }, title)));
    this.sort.onchange = () => { this.state.sort = this.sort.value; this.apply(); };
    this.descending = make("input", { type: "checkbox" });
    this.descending.onchange = () => { this.state.desc = this.descending.checked; this.apply(); };
    this.splits = site.splits.map((name) => {
      const box = make("input", { type: "checkbox" });
      box.onchange = () => {
        this.state.split = this.splits.filter((one) => one.box.checked).map((one) => one.name);
        this.apply();
      };
      return { name, box };
    });
    this.choices = CHOICES.map(({ key, title, options }) => {
      const box = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
      box.onchange = () => { this.state[key] = box.value; this.apply(); };
      return { key, title, box };
    });
    this.ranges = known.map(({ key, title }) => {
      const boxes = ["least", "most"].map((which) => {
        const box = make("input", { type: "number", step: "any", placeholder: which, "aria-label": `${title}, ${which}` });
        box.oninput = () => { this.state.ranges[key] = boxes.map((one) => one.value); this.apply(); };
        return box;
      });
      return { key, title, boxes };
    });
    this.classes = site.classes.map(({ name, color }, label) => {
      const swatch = make("i");
      swatch.style.background = `rgb(${color.join(",")})`;
      const text = make("span", { className: "state" });
      const button = make("button", { type: "button", className: "class" }, swatch, make("bdi", {}, name), text);
      button.onclick = () => this.turn(name);
      return { name, button, text, label };
    });
    const fields = (title, ...content) => make("fieldset", {}, make("legend", {}, title), ...content);
    const clear = make("button", { type: "button", onclick: () => { this.state = { ...EMPTY(), sort: this.state.sort, desc: this.state.desc }; this.fillForm(); this.apply(); } }, "Clear the filters");
    form.replaceChildren(
      make("label", { className: "row" }, "Name ", this.search),
      make("label", { className: "row" }, "Order ", this.sort),
      make("label", {}, this.descending, " Descending"),
      fields("Splits", make("div", { className: "chips" }, ...this.splits.map(({ name, box }) => make("label", {}, box, " ", make("bdi", {}, name))))),
      ...this.choices.map(({ title, box }) => make("label", { className: "row" }, `${title} `, box)),
      fields("Numbers", ...this.ranges.map(({ title, boxes }) => make("div", { className: "range" }, make("bdi", {}, title), make("span", {}, ...boxes)))),
      fields("Classes", make("p", { className: "hint" }, "Click once for samples with the class, twice for those without."),
        make("div", { className: "chips tight" }, ...this.classes.slice(1).map(({ button }) => button))),
      clear,
    );
  }

  /* Lets a class be required, then excluded, then neither. */
  turn(name) {
    const { state } = this;
    const without = (list) => list.filter((one) => one !== name);
    if (state.with.includes(name)) [state.with, state.without] = [without(state.with), [...state.without, name]];
    else if (state.without.includes(name)) state.without = without(state.without);
    else state.with = [...state.with, name];
    this.fillForm();
    this.apply();
  }

  fillForm() {
    const { state } = this;
    if (this.search.value !== state.q) this.search.value = state.q;
    this.sort.value = state.sort;
    this.descending.checked = state.desc;
    for (const { name, box } of this.splits) box.checked = state.split.includes(name);
    for (const { key, box } of this.choices) box.value = state[key];
    for (const { key, boxes } of this.ranges) boxes.forEach((box, k) => { box.value = (state.ranges[key] || ["", ""])[k]; });
    for (const { name, button, text } of this.classes) {
      const kind = state.with.includes(name) ? "with" : state.without.includes(name) ? "without" : "";
      button.dataset.kind = kind;
      text.textContent = kind ? ` ${kind}` : "";
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (typing || byId("help").open) return;
    let done = true;
    if (event.key === "?") byId("help").showModal();
    else if (this.view.dialog.open) {
      if (event.key === "ArrowLeft" || event.key === "k") this.step(-1);
      else if (event.key === "ArrowRight" || event.key === "j") this.step(1);
      else if (event.key === "x") this.select([this.view.sample], !this.chosen.has(this.view.sample));
      else done = this.view.onKey(event);
    } else if (event.key === "/") { byId("filters").open = true; this.search.focus(); }
    else if (event.key === "f") byId("filters").open = !byId("filters").open;
    else if (event.key === "l") this.overlay();
    else if (event.key === "x" && this.grid.shown.length) {
      const sample = this.grid.shown[this.grid.active];
      this.select([sample], !this.chosen.has(sample));
    } else done = !event.target.closest("#filters, .actions") && this.grid.onKey(event);
    if (done) event.preventDefault();
  }
}

if (mhp.site && mhp.samples) mhp.page = new Page(mhp.site, mhp.samples);
else {
  byId("failed").hidden = false;
  byId("failed").textContent = "The files in data/ are missing. Copy the whole folder, or run mhp browse again.";
}
