"use strict";

/* One sample at full size: one or two panes of layers that CSS blends, a legend, and facts. */
const BLENDS = ["normal", "multiply", "screen", "overlay", "difference", "luminosity"];
const ZOOMS = [0, 1, 2, 4, 8]; /* 0 fits the window */

class SampleView {
  constructor(page) {
    this.page = page;
    const { site } = page;
    this.on = [new Set(["image", "labels"]), new Set(["image", this.rival()])];
    if (site.models.length) this.on[0] = new Set(["image", "pred_1"]);
    if (!site.models.length) this.on[0] = new Set(["image", "labels"]);
    this.opacity = new Map(site.layers.map(({ id, kind }) => [id, kind === "marks" || kind === "image" ? 100 : 60]));
    this.blend = "normal";
    this.beside = false;
    this.numbers = false;
    this.zoom = 0;
    this.dialog = byId("sample");
    this.stage = byId("stage");
    this.build();
    this.dialog.addEventListener("close", () => page.closed());
    byId("close").onclick = () => this.dialog.close();
    byId("previous").onclick = () => page.step(-1);
    byId("next").onclick = () => page.step(1);
    byId("sample-chosen").onchange = (event) => page.select([this.sample], event.target.checked);
    new ResizeObserver(() => this.resize()).observe(this.stage);
  }

  /* Returns the layer to compare the labels with. */
  rival() {
    const { site } = this.page;
    if (site.models.length === 2) return "pred_2";
    if (site.models.length) return "labels";
    if (site.rule) return "labels_rule";
    return site.other ? "labels_other" : "persons";
  }

  build() {
    const { site } = this.page;
    const rows = site.layers.map(({ id, title }, k) => {
      const boxes = [0, 1].map((pane) => {
        const box = make("input", { type: "checkbox", "aria-label": `${title}, ${pane ? "right" : "left"}` });
        box.onchange = () => this.toggle(id, pane, box.checked);
        return box;
      });
      const slider = make("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Opacity of ${title}` });
      slider.oninput = () => {
        this.opacity.set(id, Number(slider.value));
        this.apply();
      };
      const key = k < 9 ? make("kbd", {}, String(k + 1)) : "";
      const row = make(
        "tr", {},
        make("td", {}, boxes[0]), make("td", { className: "second" }, boxes[1]),
        make("th", { scope: "row" }, make("bdi", {}, title), " ", key), make("td", {}, slider),
      );
      return { id, boxes, slider, row };
    });
    this.rows = rows;
    const heads = ["left", "right", "layer", "opacity"].map((text, k) =>
      make("th", { scope: "col", className: k === 1 ? "second" : "" }, text));
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.map(({ row }) => row)));
    this.blendBox = make("select", {}, ...BLENDS.map((one) => make("option", { value: one }, one)));
    this.blendBox.onchange = () => { this.blend = this.blendBox.value; this.apply(); };
    this.besideBox = make("input", { type: "checkbox" });
    this.besideBox.onchange = () => { this.beside = this.besideBox.checked; this.apply(); };
    this.numbersBox = make("input", { type: "checkbox" });
    this.numbersBox.onchange = () => { this.numbers = this.numbersBox.checked; this.apply(); };
    this.zoomBox = make("select", {}, ...ZOOMS.map((one) => make("option", { value: one }, one ? `${one}00 %` : "fit")));
    this.zoomBox.onchange = () => { this.zoom = Number(this.zoomBox.value); this.apply(); };
    const settings = make(
      "div", { className: "settings" },
      make("label", {}, this.besideBox, " Side by side"), make("label", {}, this.numbersBox, " Person numbers"),
      make("label", {}, "Blend ", this.blendBox), make("label", {}, "Zoom ", this.zoomBox),
    );
    byId("layers").replaceChildren(table, settings);
    this.panes = ["Left image", "Right image"].map((side) => {
      const stack = make("div", { className: "stack" });
      const caption = make("figcaption");
      const pane = make("figure", { className: "pane" }, make("div", { className: "scroll", tabIndex: 0, role: "group", "aria-label": side }, stack), caption);
      return { pane, stack, caption, images: new Map() };
    });
    this.stage.replaceChildren(...this.panes.map(({ pane }) => pane));
  }

  async open(sample) {
    this.sample = sample;
    const { columns, site } = this.page;
    const split = columns.split[sample], name = columns.name[sample];
    byId("sample-title").replaceChildren(`${site.splits[split]} `, make("bdi", {}, name));
    byId("sample-chosen").checked = this.page.chosen.has(sample);
    this.known = null;
    if (!this.dialog.open) this.dialog.showModal();
    this.facts();
    const full = (columns.flags[sample] & FULL) !== 0;
    byId("unlayered").hidden = full;
    if (!full) {
      byId("unlayered").textContent =
        "This sample has no layers at full size. mhp browse --full all writes them for every sample.";
    }
    this.size = [columns.height[sample], columns.width[sample]];
    this.clear();
    if (full) {
      const key = `${split}/${columns.index[sample]}`;
      try {
        const known = await mhp.load(key, `${this.page.layers(sample)}/layers.js`);
        if (this.sample !== sample) return;
        this.known = known;
        this.size = known.size;
      } catch (error) {
        byId("unlayered").hidden = false;
        byId("unlayered").textContent = `A file of the site is missing: ${error.message}. Run mhp browse again.`;
      }
    }
    this.apply();
  }

  clear() {
    for (const { stack, images } of this.panes) {
      stack.replaceChildren();
      images.clear();
    }
  }

  toggle(id, pane, on) {
    if (on) this.on[pane].add(id);
    else this.on[pane].delete(id);
    this.apply();
  }

  /* Returns whether a layer can be shown; a thumbnail has an image and labels. */
  has(id) {
    if (!this.known) return id === "image" || id === "labels";
    const { file } = this.page.site.layers.find((layer) => layer.id === id);
    return this.known.layers.includes(file);
  }

  /* Shows what the settings say. */
  apply() {
    const { site } = this.page;
    this.dialog.classList.toggle("beside", this.beside);
    this.besideBox.checked = this.beside;
    this.numbersBox.checked = this.numbers;
    this.blendBox.value = this.blend;
    this.zoomBox.value = this.zoom;
    for (const { id, boxes, slider, row } of this.rows) {
      boxes.forEach((box, pane) => {
        box.checked = this.on[pane].has(id);
        box.disabled = !this.has(id);
      });
      slider.value = this.opacity.get(id);
      slider.disabled = !this.has(id);
      row.classList.toggle("missing", !this.has(id));
    }
    this.panes.forEach((pane, k) => {
      pane.pane.hidden = k === 1 && !this.beside;
      if (!pane.pane.hidden) this.fill(pane, k);
    });
    this.legend();
    this.resize();
    this.page.remember();
  }

  fill({ stack, caption, images }, k) {
    const { site } = this.page;
    const told = [];
    if (!this.known) {
      if (!images.has("thumb")) {
        const image = make("img", { alt: "Thumbnail of the sample", src: this.page.thumb(this.sample), className: "double" });
        images.set("thumb", image);
        stack.append(image);
      }
      images.get("thumb").classList.toggle("lower", this.on[k].has("labels"));
      caption.textContent = "thumbnail";
      return;
    }
    for (const { id, title, kind, file } of site.layers) {
      const on = this.on[k].has(id) && this.has(id);
      if (on && !images.has(id)) {
        const image = make("img", { alt: "", src: `${this.page.layers(this.sample)}/${file}`, className: kind });
        images.set(id, image);
      }
      if (on) told.push(title);
      const image = images.get(id);
      if (!image) continue;
      image.hidden = !on;
      image.style.opacity = this.opacity.get(id) / 100;
      image.style.mixBlendMode = kind === "image" ? "normal" : this.blend;
    }
    const numbers = this.numbers || ["persons", "persons_rule"].some((id) => this.on[k].has(id));
    const marks = numbers ? this.known.persons.map(([number, x, y]) => {
      const mark = make("span", { className: "number" }, String(number));
      mark.style.left = `${x}%`;
      mark.style.top = `${y}%`;
      return mark;
    }) : [];
    const layers = site.layers.flatMap(({ id }) => (images.has(id) ? [images.get(id)] : []));
    stack.replaceChildren(...layers, ...marks);
    stack.setAttribute("role", "img");
    stack.setAttribute("aria-label", told.length ? told.join(", ") : "No layer is shown");
    caption.textContent = told.join(" + ") || "no layer";
  }

  /* Sets the size of the panes in pixels: as large as fits, or zoomed. */
  resize() {
    if (!this.size) return;
    const [height, width] = this.size;
    for (const { pane, stack } of this.panes) {
      if (pane.hidden) continue;
      const scroll = stack.parentElement;
      const scale = this.zoom || Math.min(scroll.clientWidth / width, Math.max(scroll.clientHeight, 80) / height);
      stack.style.width = `${Math.max(1, Math.floor(width * scale))}px`;
      stack.style.height = `${Math.max(1, Math.floor(height * scale))}px`;
      stack.classList.toggle("zoomed", scale > 1.5);
    }
  }

  legend() {
    const { site } = this.page;
    const entries = [], marks = new Map();
    if (this.known) {
      const labels = new Set();
      for (const { id, kind, legend } of site.layers) {
        const on = this.has(id) && this.on.some((pane, k) => pane.has(id) && (k === 0 || this.beside));
        if (on && kind === "labels") for (const label of this.known.present[id] || []) labels.add(label);
        if (on) for (const [text, color] of legend) marks.set(text, color);
      }
      for (const label of [...labels].sort((a, b) => a - b)) {
        if (label === 255) entries.push(["ignored", [0, 0, 0]]);
        else if (label !== 0 && site.classes[label]) entries.push([site.classes[label].name, site.classes[label].color]);
      }
    } else {
      for (const label of classesOf(site, this.page.columns, this.sample)) {
        if (label) entries.push([site.classes[label].name, site.classes[label].color]);
      }
    }
    byId("legend").replaceChildren(...[...entries, ...marks].map(([text, color]) => {
      const swatch = make("i");
      swatch.style.background = `rgb(${color.join(",")})`;
      return make("li", {}, swatch, make("bdi", {}, text));
    }));
  }

  facts() {
    const { columns, site, known, shared } = this.page;
    const i = this.sample;
    const rows = [["Size, height × width", `${columns.height[i]} × ${columns.width[i]} px`]];
    for (const { key, title, values, scale = 1 } of known) {
      if (["side", "area", "classes"].includes(key) || values[i] === UNKNOWN) continue;
      rows.push([title, scale > 1 ? (values[i] / scale).toFixed(2) : grouped(values[i])]);
    }
    if (columns.flags[i] & GRAY) rows.push(["Colour", "gray"]);
    if (!(columns.flags[i] & LABELLED)) rows.push(["Labels", "none"]);
    const list = byId("facts");
    list.replaceChildren(...rows.flatMap(([title, text]) => [make("dt", {}, make("bdi", {}, title)), make("dd", {}, text)]));
    const group = columns.copies[i];
    if (group) {
      const links = [];
      columns.copies.forEach((one, other) => {
        if (one !== group || other === i) return;
        const link = make("a", { href: this.page.address(other) }, `${site.splits[columns.split[other]]} `, make("bdi", {}, columns.name[other]));
        links.push(make("span", {}, link, " "));
      });
      list.append(make("dt", {}, shared.has(group) ? "Copies, in several splits" : "Copies"), make("dd", {}, ...links));
    }
  }

  read(parameters) {
    const ids = new Set(this.page.site.layers.map(({ id }) => id));
    ["left", "right"].forEach((key, pane) => {
      if (!parameters.has(key)) return;
      this.on[pane] = new Set();
      for (const one of parameters.get(key).split(",")) {
        const [id, opacity] = one.split(":");
        if (!ids.has(id)) continue;
        this.on[pane].add(id);
        const value = Number(opacity);
        if (opacity && value >= 0 && value <= 100) this.opacity.set(id, value);
      }
    });
    if (BLENDS.includes(parameters.get("blend"))) this.blend = parameters.get("blend");
    if (ZOOMS.includes(Number(parameters.get("zoom")))) this.zoom = Number(parameters.get("zoom"));
    this.beside = this.beside || parameters.has("right");
  }

  write(parameters) {
    const listed = (pane) => [...this.on[pane]].map((id) => `${id}:${this.opacity.get(id)}`).join(",");
    parameters.set("left", listed(0));
    if (this.beside) parameters.set("right", listed(1));
    if (this.blend !== "normal") parameters.set("blend", this.blend);
    if (this.zoom) parameters.set("zoom", this.zoom);
  }

  onKey(event) {
    const pane = event.shiftKey ? 1 : 0;
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (digit && this.rows[digit[1] - 1]) {
      const { id } = this.rows[digit[1] - 1];
      if (pane && !this.beside) return false;
      if (this.has(id)) this.toggle(id, pane, !this.on[pane].has(id));
      return true;
    }
    if (event.key === "b") this.beside = !this.beside;
    else if (event.key === "p") this.numbers = !this.numbers;
    else if (event.key === "m") this.blend = BLENDS[(BLENDS.indexOf(this.blend) + 1) % BLENDS.length];
    else if (event.key === "+" || event.key === "=") this.zoom = ZOOMS[Math.min(ZOOMS.indexOf(this.zoom) + 1, ZOOMS.length - 1)];
    else if (event.key === "-") this.zoom = ZOOMS[Math.max(ZOOMS.indexOf(this.zoom) - 1, 0)];
    else if (event.key === "0") this.zoom = 0;
    else if (event.key === "[" || event.key === "]") {
      for (const [id, value] of this.opacity) {
        const { kind } = this.page.site.layers.find((layer) => layer.id === id);
        if (kind !== "image") this.opacity.set(id, Math.max(0, Math.min(100, value + (event.key === "]" ? 10 : -10))));
      }
    } else return false;
    this.apply();
    return true;
  }
}
