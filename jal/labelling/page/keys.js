// The classes as buttons with keys: which key means which class, and the panel that shows them.
import { button, habits, make } from "./dom.js";

const LETTERS = "123456789abcdefghijklmnopqrstuvwxyz";

/** Which key means which class: digits, then letters, and what the person chose instead. */
export class Keys {
  constructor(session) {
    this.place = "keys-" + session;
    this.chosen = new Map(habits.read(this.place, [])); // a class may be called anything, as __proto__
    this.names = [];
  }

  /** The key of each class, by name; "" where none is left. */
  all() {
    const taken = new Set(this.names.map((name) => this.chosen.get(name)).filter(Boolean));
    const free = [...LETTERS].filter((key) => !taken.has(key));
    return new Map(this.names.map((name, at) => {
      if (this.chosen.has(name)) return [name, this.chosen.get(name)];
      const own = LETTERS[at];
      const key = free.includes(own) ? own : free[0];
      if (key) free.splice(free.indexOf(key), 1);
      return [name, key || ""];
    }));
  }

  /** The class of a key; undefined where it means none. */
  of(key) {
    return [...this.all()].find(([, one]) => one === key)?.[0];
  }

  /** Gives a class another key, and takes it from who has it. Says what is wrong with it, or "". */
  choose(name, key) {
    if (key && !LETTERS.includes(key)) return "A key is one digit from 1 to 9, or one letter from a to z.";
    for (const [other, its] of this.chosen) if (its === key) this.chosen.delete(other);
    if (key) this.chosen.set(name, key);
    else this.chosen.delete(name);
    habits.write(this.place, [...this.chosen]);
    return "";
  }
}

/** The panel of classes: a button each, a place to type a new one, and what else can be said. */
export class Choices {
  constructor(app, say) {
    this.app = app;
    this.say = say;
    this.list = make("div", { class: "classes", role: "group", "aria-label": "Classes" });
    this.input = make("input", { type: "text", maxlength: "200", "aria-label": "New class", placeholder: "New class", autocomplete: "off" });
    const add = make("form", { class: "adding", on: { submit: (event) => this.add(event) } }, this.input,
      make("button", { type: "submit", text: "Add" }));
    const others = make("div", { class: "others" },
      button("Skip", () => say("skip"), { key: "-" }),
      button("Unsure", () => say("unsure"), { key: "?" }),
      button("Undo", () => app.undo(), { key: "0" }));
    this.element = make("div", { class: "choices" }, this.list, add, others,
      button("Keys and names …", () => app.openKeys(), { class: "quiet" }));
  }

  /** Shows the classes there are, their counts, and the answer of the image that is shown. */
  show(state, answer) {
    const keys = this.app.keys.all();
    const mark = JSON.stringify([state.classes, [...keys], answer]);
    if (mark === this.mark) return;
    this.mark = mark;
    const held = [...this.list.children].findIndex((one) => one === document.activeElement);
    this.list.replaceChildren(...state.classes.map(({ name, count }) => {
      const made = button(name, () => this.say("label", name), { key: keys.get(name), "aria-pressed": String(answer === name) });
      made.append(make("small", { text: String(count), "aria-label": count + " labelled" }));
      return made;
    }));
    this.list.children[held]?.focus();
  }

  async add(event) {
    event.preventDefault();
    const name = this.input.value.trim();
    if (!name || !(await this.app.addClass(name))) return;
    this.input.value = "";
    this.input.blur();
    this.app.focus();
  }

  /** What a key says; true where it says something. */
  key(key) {
    const name = this.app.keys.of(key);
    if (name !== undefined) this.say("label", name);
    else if (key === "-") this.say("skip");
    else if (key === "?") this.say("unsure");
    else return false;
    return true;
  }
}

/** The dialog in which keys and names of classes are changed. */
export function keysDialog(app) {
  const rows = make("div", { class: "rows" });
  const fault = make("p", { class: "fault", role: "alert" });
  const dialog = make("dialog", { "aria-label": "Keys and names" }, make("h2", { text: "Keys and names" }), rows, fault,
    make("p", { class: "note", text: "Keys are remembered by this browser. A class's new name is also that of the labels that have it." }),
    button("Close", () => dialog.close()));
  const draw = () => rows.replaceChildren(...app.state.classes.map(({ name }) => row(name)));
  const row = (name) => {
    const key = make("input", { type: "text", maxlength: "1", size: "2", "aria-label": "Key of " + name });
    key.value = app.keys.all().get(name);
    key.addEventListener("change", () => {
      fault.textContent = app.keys.choose(name, key.value.toLowerCase());
      app.refresh();
      draw();
    });
    const text = make("input", { type: "text", maxlength: "200", "aria-label": "Name of " + name });
    text.value = name;
    text.addEventListener("change", async () => {
      if (text.value.trim() && text.value.trim() !== name) await app.renameClass(name, text.value.trim());
      draw();
    });
    return make("div", { class: "row" }, key, text);
  };
  return { dialog, open: () => { fault.textContent = ""; draw(); dialog.showModal(); } };
}
