// Many small pictures, of which some are marked: by click, Shift, arrows and Space.
import { make } from "./dom.js";
import { showPicture } from "./transport.js";

/** A list of pictures; what is done with those marked is the view's affair. */
export class Tiles {
  /**
   * @param {Object} api
   * @param {string} label - of the list, for a screen reader
   * @param {function(Object): string[]} words - the lines below a picture
   * @param {{marks: function(), open: function(Object)}} act
   */
  constructor(api, label, words, act) {
    Object.assign(this, { api, words, act, items: [], marked: new Set(), at: 0, from: 0 });
    this.element = make("ul", { class: "tiles", role: "listbox", "aria-label": label, "aria-multiselectable": "true" });
  }

  /** Shows these items, and keeps marks of those that stay. */
  set(items) {
    const here = this.current();
    const same = new Map(this.items.map((item, at) => [item.id, this.element.children[at]]));
    this.items = items;
    this.marked = new Set(items.map((item) => item.id).filter((id) => this.marked.has(id)));
    const had = this.element.contains(document.activeElement);
    this.element.replaceChildren(...items.map((item, at) => this.tile(item, at, same.get(item.id))));
    const at = items.findIndex((item) => item.id === here?.id);
    this.at = this.from = at >= 0 ? at : Math.max(0, Math.min(this.at, items.length - 1));
    this.draw();
    if (had) this.focus();
  }

  tile(item, at, before) {
    const image = before?.querySelector("img") || make("img", { alt: item.id, draggable: "false" });
    const lines = this.words(item);
    const made = make("li", { role: "option", class: "tile", title: item.id },
      make("div", { class: "small" }, image),
      make("span", { class: "tick", "aria-hidden": "true", text: "✓" }),
      ...lines.map((text, line) => make("span", { class: line ? "line" : "line first", text })));
    made.addEventListener("click", (event) => this.clicked(at, event));
    made.addEventListener("dblclick", () => this.act.open(item));
    if (!image.wanted) showPicture(image, this.api, item.id, 240);
    return made;
  }

  current() {
    return this.items[this.at];
  }

  /** The ids that are marked; without any, that of the tile in focus. */
  chosen() {
    if (this.marked.size) return this.items.map((item) => item.id).filter((id) => this.marked.has(id));
    return this.current() ? [this.current().id] : [];
  }

  mark(ids) {
    this.marked = new Set(ids);
    this.draw();
  }

  clicked(at, event) {
    if (event.shiftKey) this.range(this.from, at);
    else {
      this.toggle(at);
      this.from = at;
    }
    this.move(at);
  }

  toggle(at) {
    const { id } = this.items[at];
    if (!this.marked.delete(id)) this.marked.add(id);
  }

  range(from, to) {
    const [first, last] = from < to ? [from, to] : [to, from];
    for (const item of this.items.slice(first, last + 1)) this.marked.add(item.id);
  }

  move(at) {
    this.at = at;
    this.draw();
    this.focus();
  }

  focus() {
    const tile = this.element.children[this.at];
    tile?.focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest" });
  }

  draw() {
    [...this.element.children].forEach((tile, at) => {
      tile.tabIndex = at === this.at ? 0 : -1;
      tile.setAttribute("aria-selected", String(this.marked.has(this.items[at].id)));
    });
    this.act.marks();
  }

  columns() {
    const tiles = [...this.element.children];
    const below = tiles.findIndex((tile) => tile.offsetTop > tiles[0].offsetTop + 4);
    return below < 0 ? tiles.length : below;
  }

  /** What a key does; true where it does something. */
  key(event) {
    if (!this.items.length) return false;
    const rows = this.columns();
    const last = this.items.length - 1;
    const moves = { ArrowRight: this.at + 1, ArrowLeft: this.at - 1, ArrowDown: this.at + rows, ArrowUp: this.at - rows, Home: 0, End: last };
    if (event.key in moves) this.step(moves[event.key], event.shiftKey);
    else if (event.key === " ") {
      this.toggle(this.at);
      this.from = this.at;
      this.move(this.at);
    } else if (event.key === "Escape" && this.marked.size) this.mark([]);
    else if (event.key === "a" && event.ctrlKey) this.mark(this.items.map((item) => item.id));
    else if (event.key === "Enter" && this.element.contains(event.target)) this.act.open(this.current());
    else return false;
    return true;
  }

  step(to, extend) {
    if (to < 0 || to >= this.items.length) return;
    if (extend) this.range(this.from, to);
    else this.from = to;
    this.move(to);
  }
}
