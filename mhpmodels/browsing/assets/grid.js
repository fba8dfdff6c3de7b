"use strict";

/* A grid of any number of samples: only the cells near the window exist, and move as the page scrolls. */
class Grid {
  constructor(element, page) {
    this.element = element;
    this.page = page;
    this.shown = [];
    this.active = 0;
    this.overlaid = false;
    this.cells = new Map();
    this.spare = [];
    new ResizeObserver(() => this.layOut()).observe(element);
    addEventListener("scroll", () => this.schedule(), { passive: true });
    element.addEventListener("click", (event) => this.onClick(event));
    element.addEventListener("focusin", (event) => this.onFocus(event));
  }

  show(shown) {
    this.shown = shown;
    this.active = Math.min(this.active, Math.max(0, shown.length - 1));
    for (const [at, cell] of this.cells) {
      if (at >= shown.length) this.release(at, cell);
      else if (cell.sample !== shown[at] || cell.count !== shown.length || cell.noted !== this.page.state.sort) this.fill(at, cell);
    }
    this.layOut();
  }

  layOut() {
    const width = this.element.parentElement.clientWidth;
    if (!width) return;
    const wanted = width < 480 ? 104 : 148;
    this.columns = Math.max(2, Math.floor(width / wanted));
    this.size = width / this.columns;
    this.row = Math.round(this.size) + 36; /* a square, and two lines of text */
    this.element.style.height = `${Math.ceil(this.shown.length / this.columns) * this.row}px`;
    this.element.hidden = this.shown.length === 0; /* a list without items is an error for screen readers */
    for (const [at, cell] of this.cells) this.place(at, cell);
    this.update();
  }

  schedule() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.update();
    });
  }

  update() {
    const above = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / this.row) - 2) * this.columns;
    const last = Math.min(this.shown.length, (Math.ceil((above + innerHeight) / this.row) + 2) * this.columns);
    for (const [at, cell] of this.cells) if ((at < first || at >= last) && at !== this.focused) this.release(at, cell);
    for (let at = first; at < last; at++) if (!this.cells.has(at)) this.fill(at);
  }

  release(at, cell) {
    this.cells.delete(at);
    cell.root.remove();
    cell.image.removeAttribute("src");
    this.spare.push(cell);
  }

  fresh() {
    const image = make("img", { alt: "", decoding: "async", draggable: false });
    const thumb = make("span", { className: "thumb" }, image);
    const name = make("bdi");
    const note = make("span", { className: "note" });
    const link = make("a", {}, make("span", { className: "frame" }, thumb), make("span", { className: "name" }, name), note);
    const box = make("input", { type: "checkbox" });
    return { root: make("div", { className: "cell", role: "listitem" }, link, box), image, thumb, name, note, link, box };
  }

  /* Shows a sample in a cell, one of the present ones or a spare one. */
  fill(at, present = null) {
    const cell = present || this.spare.pop() || this.fresh();
    const sample = this.shown[at];
    Object.assign(cell, { sample, count: this.shown.length, noted: this.page.state.sort });
    const { columns, site } = this.page;
    const [height, width] = [columns.height[sample], columns.width[sample]];
    const longest = Math.max(height, width);
    cell.root.dataset.at = at;
    cell.root.setAttribute("aria-setsize", this.shown.length);
    cell.root.setAttribute("aria-posinset", at + 1);
    cell.image.src = this.page.thumb(sample);
    cell.thumb.style.width = `${(100 * width) / longest}%`;
    cell.thumb.style.height = `${(100 * height) / longest}%`;
    cell.name.textContent = columns.name[sample];
    cell.note.textContent = this.page.note(sample);
    cell.link.href = this.page.address(sample);
    cell.link.tabIndex = cell.box.tabIndex = at === this.active ? 0 : -1;
    this.check(cell);
    cell.box.setAttribute("aria-label", `Select ${site.splits[columns.split[sample]]} ${columns.name[sample]}`);
    if (present) return;
    this.cells.set(at, cell);
    this.place(at, cell);
    this.element.append(cell.root);
  }

  place(at, cell) {
    const [row, column] = [Math.floor(at / this.columns), at % this.columns];
    cell.root.style.width = `${this.size}px`;
    cell.root.style.height = `${this.row}px`;
    cell.root.style.transform = `translate(${column * this.size}px, ${row * this.row}px)`;
  }

  /* Shows the labels over the thumbnails, or hides them. */
  overlay(on = !this.overlaid) {
    this.overlaid = on;
    this.element.classList.toggle("overlaid", on);
  }

  check(cell) {
    cell.box.checked = this.page.chosen.has(cell.sample);
    cell.root.classList.toggle("chosen", cell.box.checked);
  }

  mark() {
    for (const cell of this.cells.values()) this.check(cell);
  }

  onClick(event) {
    const root = event.target.closest(".cell");
    if (!root) return;
    const at = Number(root.dataset.at);
    if (event.target.matches("input")) this.page.select([this.shown[at]], event.target.checked);
    else if (event.target.closest("a") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      this.page.open(at);
    }
  }

  onFocus(event) {
    const root = event.target.closest(".cell");
    if (root) this.activate(Number(root.dataset.at), false);
  }

  /* Makes one cell the one that Tab reaches, and scrolls to it and focuses it if asked to. */
  activate(at, focus = true) {
    if (!this.shown.length) return;
    at = Math.max(0, Math.min(at, this.shown.length - 1));
    const before = this.cells.get(this.active);
    if (before) before.link.tabIndex = before.box.tabIndex = -1;
    this.active = this.focused = at;
    if (focus) {
      const top = Math.floor(at / this.columns) * this.row;
      const above = -this.element.getBoundingClientRect().top;
      if (top < above) scrollBy(0, top - above - 8);
      else if (top + this.row > above + innerHeight) scrollBy(0, top + this.row - above - innerHeight + 8);
      this.update();
    }
    const cell = this.cells.get(at);
    if (!cell) return;
    cell.link.tabIndex = cell.box.tabIndex = 0;
    if (focus) cell.link.focus({ preventScroll: true });
  }

  onKey(event) {
    const moves = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -this.columns * Math.max(1, Math.floor(innerHeight / this.row)),
      PageDown: this.columns * Math.max(1, Math.floor(innerHeight / this.row)),
      Home: -this.shown.length, End: this.shown.length,
    };
    if (!(event.key in moves)) return false;
    const inside = this.element.contains(document.activeElement);
    this.activate(inside ? this.active + moves[event.key] : this.active);
    return true;
  }
}
