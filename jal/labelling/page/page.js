// The page: its state from jal, its views, what keys and buttons do. Nothing that is said is kept here.
import { button, counted, habits, make, percent } from "./dom.js";
import { Keys, keysDialog } from "./keys.js";
import { Aside, Gallery, Grid, Review, closerDialog } from "./lists.js";
import { Progress } from "./progress.js";
import { Single } from "./single.js";

const OFTEN = 700; // ms between looks while something is waited for
const SELDOM = 3000;
const HIDDEN = 30000;
const VIEWS = [["single", "One by one"], ["grid", "Grid"], ["review", "Review"], ["gallery", "Gallery"], ["aside", "Set aside"], ["progress", "Progress"]];
const TYPED = "input:not([type=range]):not([type=checkbox]), textarea, select";
const UNKNOWN = { classes: [], labelled: 0, aside: 0, open: 0, size: 0, batches: 0, mine: [], busy: "", trouble: "", done: false, estimate: null, seconds: null, version: -1, turn: 0 };

/**
 * Puts the page into an element.
 * @param {HTMLElement} root
 * @param {{call: function, picture: function}} api - how it speaks with jal
 * @returns {function} ends it
 */
export function mount(root, api, { inCell = false } = {}) {
  const app = new App(root, api, inCell);
  app.begin();
  return () => app.end();
}

/** A window's name, new each time: a window that was copied is another one. */
function newName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

class App {
  constructor(root, api, inCell) {
    Object.assign(this, { root, api, inCell, client: newName(), state: UNKNOWN, about: { batch: 20 }, sending: false, keys: new Keys("") });
    this.views = {};
    root.classList.add("jal");
    if (inCell) root.classList.add("cell");
    this.setTheme(habits.read("theme", "auto"));
    this.keyed = (event) => this.key(event);
    this.gone = () => this.call("release", { client: this.client }, true);
    this.seen = () => document.visibilityState === "visible" && this.look_again();
  }

  async begin() {
    const about = await this.call("hello");
    if (!about) {
      this.root.append(make("p", { class: "fault", role: "alert", text: this.lastFault }));
      return;
    }
    this.about = about;
    this.who = habits.read("who", "") || about.who;
    this.keys = new Keys(about.session);
    if (!this.inCell) document.title = "jal: " + about.title;
    this.build();
    (this.inCell ? this.root : document).addEventListener("keydown", this.keyed);
    if (!this.inCell) addEventListener("pagehide", this.gone);
    document.addEventListener("visibilitychange", this.seen);
    await this.poll();
    await this.open("single");
  }

  end() {
    clearTimeout(this.timer);
    this.ended = true;
    removeEventListener("pagehide", this.gone);
    document.removeEventListener("keydown", this.keyed);
    document.removeEventListener("visibilitychange", this.seen);
    this.gone();
  }

  // What is on the page.

  build() {
    this.count = make("p", { class: "count" });
    this.fault = make("p", { class: "fault", role: "alert" });
    this.said = make("p", { class: "said", role: "status" });
    this.tabs = new Map(VIEWS.map(([name, text]) => [name, button(text, () => this.open(name))]));
    this.main = make("main", {});
    this.keysDialog = keysDialog(this);
    this.closer = closerDialog(this);
    this.root.replaceChildren(
      make("header", {}, make("div", { class: "top" }, make("h1", { text: this.about.title }), this.count, this.settings()),
        make("nav", { "aria-label": "Views" }, ...this.tabs.values()), this.said, this.fault),
      this.main, this.keysDialog.dialog, this.closer.dialog);
    if (!this.inCell) return;
    this.root.tabIndex = -1;
    this.root.dataset.lmSuppressShortcuts = "true"; // Jupyter's own keys would delete cells
  }

  settings() {
    const suggest = make("input", { type: "checkbox", on: { change: () => { habits.write("suggest", suggest.checked); this.open(this.viewName); } } });
    suggest.checked = this.suggests();
    const who = make("input", { type: "text", maxlength: "100", autocomplete: "off", on: { change: () => { this.who = who.value.trim(); habits.write("who", this.who); } } });
    who.value = this.who;
    const theme = make("select", { on: { change: () => this.setTheme(theme.value) } }, ...["auto", "light", "dark"].map((name) => make("option", { value: name, text: name })));
    theme.value = habits.read("theme", "auto");
    return make("details", { class: "settings" }, make("summary", { text: "Settings" }), make("div", { class: "sheet" },
      make("label", { class: "switch" }, suggest, make("span", { text: "Suggestions" })),
      make("p", { class: "note", text: "What the classifier suggests sways people; hide it where you can." }),
      make("label", { class: "field" }, make("span", { text: "Your name" }), who),
      make("label", { class: "field" }, make("span", { text: "Colours" }), theme),
      make("p", { class: "note", text: "Keys: the classes’ own; − skip, ? unsure, 0 or Backspace undo; arrows move; . and , zoom, ; fits, Shift and arrows pan; Space marks, Ctrl A all, Enter looks closer or accepts." })));
  }

  setTheme(name) {
    habits.write("theme", name);
    this.root.dataset.theme = name;
    if (!this.inCell) document.documentElement.dataset.theme = name;
  }

  suggests() {
    return habits.read("suggest", true);
  }

  async open(name) {
    const kinds = { single: Single, grid: Grid, review: Review, gallery: Gallery, aside: Aside, progress: Progress };
    this.viewName = name;
    for (const [one, tab] of this.tabs) {
      if (one === name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    this.views[name] ??= new kinds[name](this);
    this.view = this.views[name];
    this.main.replaceChildren(this.view.element);
    await this.view.enter();
    if (this.inCell) this.focus();
  }

  focus() {
    this.view?.focus();
    if (this.inCell && !this.root.contains(document.activeElement)) this.root.focus({ preventScroll: true });
  }

  look(item) {
    if (item) this.closer.open(item);
  }

  openKeys() {
    this.keysDialog.open();
  }

  refresh() {
    this.view?.update(this.state);
  }

  // What jal says.

  /** Calls jal; null where it refused, which is then said. */
  async call(name, body = {}, keepalive = false) {
    try {
      const found = await this.api.call(name, body, keepalive);
      if (this.lost) this.fail("");
      this.lost = false;
      if (found.state) this.take(found.state);
      return found;
    } catch (error) {
      this.lost = Boolean(error.lost);
      this.fail(error.message);
      return null;
    }
  }

  async poll() {
    const state = await this.call("state", { client: this.client });
    // What was asked before an answer was given, or while one is under way, tells of an older session.
    if (state && this.take(state) && !this.sending) this.view?.update(state);
    if (this.ended) return;
    const often = document.visibilityState === "hidden" ? HIDDEN : this.view?.waiting?.() || this.state.busy ? OFTEN : SELDOM;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), often);
  }

  look_again() {
    clearTimeout(this.timer);
    this.poll();
  }

  /** Takes what jal says of the session; false where something newer was said already. */
  take(state) {
    if (state.turn < this.state.turn) return false;
    this.state = state;
    this.keys.names = state.classes.map(({ name }) => name);
    const { estimate } = state;
    const parts = [`${state.labelled.toLocaleString("en")} of ${counted(state.size, "image")} labelled`];
    if (estimate) parts.push(`right on ${percent(estimate.accuracy)} (${percent(estimate.low)} to ${percent(estimate.high)})`);
    if (state.seconds) parts.push(`${state.seconds.toFixed(1)} s a label`);
    this.count.textContent = parts.join(" · ");
    this.tabs.get("aside").lastChild.textContent = state.aside ? `Set aside (${state.aside})` : "Set aside";
    if (state.trouble) this.fail(state.trouble);
    else if (this.trouble) this.fail("");
    this.trouble = state.trouble;
    return true;
  }

  /** Why there is nothing to label just now. */
  waitingWords(only = "") {
    const { state } = this;
    if (state.busy) return state.busy[0].toUpperCase() + state.busy.slice(1) + " … the next images come by themselves.";
    if (only && state.open) return `None of the open images is suggested as ${only}.`;
    if (state.open) return `${counted(state.open, "open image")} are in another window.`;
    if (state.done) return "Every image has an answer or is set aside. jal predict and jal export write what came of it.";
    return "The next images come by themselves …";
  }

  say(text) {
    this.said.textContent = text;
  }

  fail(text) {
    this.lastFault = text;
    if (this.fault) this.fault.textContent = text;
  }

  // What people do.

  async claim(count, only) {
    let found;
    do found = await this.call("claim", { client: this.client, count, class: only });
    while (found && found.state.turn < this.state.turn); // an answer given meanwhile made it old
    return found ? found.items : [];
  }

  /** Sends an answer; true once it is on disk. */
  async answer(kind, ids, label, seconds) {
    return this.send("answer", { kind, ids, class: label, seconds }, () => {
      const what = kind === "label" ? label : kind === "skip" ? "skipped" : "unsure";
      this.say(ids.length === 1 ? `${ids[0]}: ${what}` : `${counted(ids.length, "image")}: ${what}`);
    });
  }

  async undo() {
    const found = await this.send("undo", {}, ({ items }) => {
      this.say(items.length ? `Taken back: ${items.length === 1 ? items[0].id : counted(items.length, "answer")}` : "There is nothing to take back.");
    });
    if (found?.items.length) this.view.reopened(found.items);
  }

  async takeBack(ids) {
    return this.send("take_back", { ids }, () => this.say(`${counted(ids.length, "image")}: open again`));
  }

  async addClass(name) {
    const found = await this.send("add_class", { name }, () => this.say(`A new class: ${name}. The next training takes longer, once.`));
    if (found) this.refresh();
    return found;
  }

  async renameClass(name, to) {
    const found = await this.send("rename_class", { name, to }, () => this.say(`${name} is now called ${to}.`));
    if (found) this.refresh();
    return found;
  }

  /** One thing at a time: what is pressed meanwhile would be meant for an image not yet seen. */
  async send(name, body, then) {
    if (this.sending) return null;
    this.sending = true;
    this.root.setAttribute("aria-busy", "true");
    const found = await this.call(name, { client: this.client, who: this.who, ...body });
    this.sending = false;
    this.root.removeAttribute("aria-busy");
    if (found) {
      this.fail("");
      then(found);
    } else if (this.lastFault) this.fail("Not saved. " + this.lastFault);
    return found;
  }

  key(event) {
    if (this.inCell) event.stopPropagation();
    if (event.altKey || event.metaKey || event.defaultPrevented || this.root.querySelector("dialog[open]")) return;
    if (event.target.matches?.(TYPED)) return;
    const control = event.ctrlKey;
    const isRange = event.target.matches?.("input[type=range]");
    if (isRange && event.key.startsWith("Arrow")) return;
    if (event.key === " " && event.target.matches?.("button, summary, input")) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (control && name === "z") this.undo();
    else if (control && name !== "a") return;
    else if (!control && (name === "0" || name === "Backspace")) this.undo();
    else if (!this.view?.key?.(plainKey(event, name))) return;
    event.preventDefault();
  }
}

/** A key press with letters made small. */
function plainKey(event, key) {
  return { key, shiftKey: event.shiftKey, ctrlKey: event.ctrlKey, target: event.target };
}
