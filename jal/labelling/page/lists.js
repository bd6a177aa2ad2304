// Views of many images: the grid to label, the review of doubtful labels, the gallery, what was set aside.
import { button, choice, counted, fillChoice, make, percent } from "./dom.js";
import { Choices } from "./keys.js";
import { Tiles } from "./tiles.js";
import { Viewer } from "./viewer.js";

const PAGE = 60;

/** What the views of many images share: tiles, classes, and one key for all that are marked. */
class Many {
  constructor(app, title, note) {
    this.app = app;
    this.title = title;
    this.tiles = new Tiles(app.api, title, (item) => this.words(item), { marks: () => this.marks(), open: (item) => app.look(item) });
    this.choices = new Choices(app, (kind, label) => this.say(kind, label));
    this.count = make("p", { class: "place", role: "status" });
    this.empty = make("p", { class: "empty", role: "status" });
    this.bar = make("div", { class: "toolbar" });
    this.foot = make("div", { class: "toolbar" });
    this.note = make("p", { class: "note", text: note });
    this.work = make("div", { class: "many" },
      make("div", { class: "wide" }, this.tiles.element, this.foot), make("div", { class: "side" }, this.count, this.choices.element));
    this.element = make("section", { "aria-label": title }, make("h2", { text: title }), this.note, this.bar, this.empty, this.work);
    this.bar.append(button("Mark all", () => this.tiles.mark(this.tiles.items.map((item) => item.id))), button("Mark none", () => this.tiles.mark([])));
  }

  async enter() {
    await this.load();
    this.focus();
  }

  focus() {
    this.tiles.focus();
  }

  /** Shows items, or words in their place. */
  show(items, words) {
    this.since = performance.now();
    this.empty.textContent = items.length ? "" : words;
    this.empty.hidden = items.length > 0;
    this.work.hidden = !items.length;
    this.tiles.set(items);
    this.choices.show(this.app.state);
  }

  marks() {
    if (!this.count) return;
    const marked = this.tiles.marked.size;
    this.count.textContent = marked ? counted(marked, "image") + " marked: a key labels them all" : "None marked: a key labels the one in focus";
  }

  async say(kind, label = "") {
    const ids = this.tiles.chosen();
    if (!ids.length || this.app.sending) return;
    const seconds = Math.min((performance.now() - this.since) / 1000, 86400);
    if (await this.app.answer(kind, ids, label, this.measures ? seconds : null)) await this.answered(ids, kind, label);
  }

  /** Answered images go, or show their new answer. */
  async answered(ids, kind, label) {
    const said = new Set(ids);
    this.tiles.marked.clear();
    this.tiles.set(this.tiles.items.map((item) => (said.has(item.id) ? { ...item, kind, label } : item)));
  }

  reopened() {
    this.load();
  }

  update() {
    this.choices.show(this.app.state);
  }

  key(event) {
    return this.tiles.key(event) || this.choices.key(event.key);
  }
}

/** Labelling many at once, those of one suggestion beside each other. */
export class Grid extends Many {
  constructor(app) {
    super(app, "Label in a grid", "Mark with a click, with Shift for a row, or with arrows and Space; then one key labels all that are marked. Enter looks closer.");
    this.measures = true;
    this.only = choice("Only suggested as", [["", "any class"]], () => this.load());
    this.bar.prepend(this.only.element);
  }

  words(item) {
    if (!this.app.suggests() || !item.predicted) return [];
    return [item.predicted + " " + percent(item.probability)];
  }

  async load() {
    if (this.loading) return;
    this.loading = true;
    this.only.element.hidden = !this.app.suggests();
    fillChoice(this.only.select, [["", "any class"], ...this.app.state.classes.map(({ name }) => [name, name])]);
    const only = this.app.suggests() ? this.only.select.value : "";
    const items = await this.app.claim(Math.min(Math.max(this.app.about.batch, 12), 48), only);
    this.loading = false;
    // Suggestions that are hidden are not to be told by the order either.
    if (this.app.suggests()) items.sort((a, b) => a.predicted.localeCompare(b.predicted) || (b.probability ?? 0) - (a.probability ?? 0));
    this.show(items, this.app.waitingWords(only));
  }

  waiting() {
    return !this.tiles.items.length;
  }

  async answered(ids) {
    const said = new Set(ids);
    this.since = performance.now();
    this.tiles.marked.clear();
    const left = this.tiles.items.filter((item) => !said.has(item.id));
    this.tiles.set(left); // at once: another key must not mean them again
    if (!left.length) await this.load();
    this.focus();
  }

  reopened(items) {
    const known = new Set(items.map((item) => item.id));
    this.show([...items, ...this.tiles.items.filter((item) => !known.has(item.id))], "");
    this.tiles.mark(known);
    this.focus();
  }

  update(state) {
    super.update(state);
    const mine = new Set(state.mine);
    const left = this.tiles.items.filter((item) => mine.has(item.id));
    if (!this.loading && left.length !== this.tiles.items.length) this.tiles.set(left);
    if (!this.tiles.items.length) {
      this.show([], this.app.waitingWords(this.only.select.value));
      if (state.open) this.load();
    }
  }
}

/** The labels that the classifier doubts most. */
export class Review extends Many {
  constructor(app) {
    super(app, "Review", "Labels that a classifier trained without them would give otherwise, the most doubtful first. A key corrects; what is right may stay as it is.");
    this.bar.append(button("Look again", () => this.load()));
  }

  words(item) {
    if (item.kind !== "label") return [item.kind];
    return ["Label: " + item.label, `Classifier: ${item.predicted} ${percent(item.probability)}`];
  }

  async load() {
    this.show([], "Looking for doubtful labels …");
    const found = await this.app.call("suspicious", { count: 40 });
    const items = found ? found.items : [];
    this.show(items, "Nothing to review yet: at least two labels are needed.");
  }
}

/** All images by their class and how sure it is. */
export class Gallery extends Many {
  constructor(app) {
    super(app, "Gallery", "Every image by its label, or by what the classifier makes of it. A key labels or corrects in passing.");
    this.start = 0;
    const again = () => this.load(0);
    this.of = choice("Show", [["unlabelled", "without an answer"], ["labelled", "labelled"], ["all", "all"]], again);
    this.class = choice("Class", [["", "any"]], again);
    this.order = choice("Order", ["least sure first", "surest first", "latest first"].map((name) => [name, name]), again);
    this.bar.prepend(this.of.element, this.class.element, this.order.element);
    this.bar.append(button("Predict anew", () => this.load(0, true)));
    this.where = make("span", { class: "place", role: "status" });
    this.before = button("Previous", () => this.load(this.start - PAGE));
    this.after = button("Next", () => this.load(this.start + PAGE));
    this.foot.append(this.before, this.where, this.after);
  }

  words(item) {
    const guess = item.predicted ? `${item.predicted} ${percent(item.probability)}` : "";
    if (item.kind === "label") return ["Label: " + item.label, guess && "Classifier: " + guess].filter(Boolean);
    return [item.kind, guess].filter(Boolean);
  }

  async load(start = this.start, fresh = false) {
    fillChoice(this.class.select, [["", "any"], ...this.app.state.classes.map(({ name }) => [name, name])]);
    if (!this.tiles.items.length) this.show([], "Predicting …");
    const found = await this.app.call("gallery", {
      of: this.of.select.value, class: this.class.select.value, order: this.order.select.value, start: Math.max(start, 0), count: PAGE, fresh,
    });
    if (!found) return;
    this.start = Math.max(start, 0);
    this.show(found.items, "No image is like that.");
    this.where.textContent = `${Math.min(this.start + 1, found.total)} to ${this.start + found.items.length} of ${counted(found.total, "image")}, predicted from ${counted(found.labels, "label")}`;
    this.before.disabled = this.start === 0;
    this.after.disabled = this.start + PAGE >= found.total;
  }
}

/** What was skipped or left as unsure. */
export class Aside extends Many {
  constructor(app) {
    super(app, "Set aside", "Skipped and unsure images are not asked again. A key labels them; taken back, they are open again.");
    this.bar.append(button("Take back", () => this.takeBack()));
  }

  words(item) {
    return [item.kind === "label" ? "Label: " + item.label : item.kind === "skip" ? "Skipped" : item.kind ? "Unsure" : "Open again"];
  }

  async load() {
    const found = await this.app.call("gallery", { of: "aside", order: "latest first", count: PAGE });
    if (found) this.show(found.items, "Nothing is set aside.");
  }

  async takeBack() {
    const ids = this.tiles.chosen();
    if (ids.length && (await this.app.takeBack(ids))) await this.load();
  }
}

/** The dialog that shows one image of many large. */
export function closerDialog(app) {
  const viewer = new Viewer(app.api);
  const name = make("h2", { class: "name" });
  const dialog = make("dialog", { class: "closer", "aria-label": "Closer look" }, name, viewer.element, button("Close", () => dialog.close()));
  dialog.addEventListener("keydown", (event) => {
    if (viewer.key(event)) event.preventDefault();
  });
  return { dialog, open: (item) => { name.textContent = item.id; dialog.showModal(); viewer.show(item.id); } };
}
