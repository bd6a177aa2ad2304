// Labelling one image at a time.
import { choice, counted, fillChoice, make, percent } from "./dom.js";
import { Choices } from "./keys.js";
import { Viewer } from "./viewer.js";

const IN_HAND = 8; // images that a window holds: others can label meanwhile
const TRAIL = 200; // answered images that arrows go back to

/** The view of one large image. */
export class Single {
  constructor(app) {
    this.app = app;
    this.trail = [];
    this.at = 0;
    this.viewer = new Viewer(app.api);
    this.choices = new Choices(app, (kind, label) => this.say(kind, label));
    this.name = make("p", { class: "name" });
    this.place = make("p", { class: "place" });
    this.guess = make("p", { class: "guess" });
    this.why = make("p", { class: "why" });
    this.only = choice("Only suggested as", [["", "any class"]], () => this.refill());
    this.empty = make("p", { class: "empty", role: "status" });
    const side = make("div", { class: "side" }, this.name, this.guess, this.why, this.choices.element, this.place, this.only.element);
    this.work = make("div", { class: "single" }, this.viewer.element, side);
    this.element = make("section", { "aria-label": "Label one by one" }, make("h2", { class: "unseen", text: "Label one by one" }), this.empty, this.work);
    this.draw();
  }

  item() {
    return this.trail[this.at];
  }

  waiting() {
    return !this.trail.some((item) => !item.answer);
  }

  async enter() {
    await this.refill();
  }

  focus() {}

  /** Takes images in hand, and goes to the first that has no answer. */
  async refill() {
    this.trail = this.trail.filter((item) => item.answer);
    this.at = this.trail.length;
    await this.fill();
  }

  async fill() {
    if (this.filling) return;
    this.filling = true;
    const items = await this.app.claim(IN_HAND, this.app.suggests() ? this.only.select.value : "");
    this.filling = false;
    const known = new Map(this.trail.filter((item) => !item.answer).map((item) => [item.id, item]));
    for (const item of items) Object.assign(known.get(item.id) ?? {}, item); // what is suggested may be new
    const fresh = items.filter((item) => !known.has(item.id));
    const again = new Set(fresh.map((item) => item.id));
    const here = this.item()?.id;
    this.trail = [...this.trail.filter((item) => !again.has(item.id)), ...fresh];
    const at = this.trail.findIndex((item) => item.id === here);
    this.at = at < 0 ? this.trail.length : at;
    if (!this.item()) this.goOn();
    this.draw();
  }

  /** To the next image without an answer; behind the last one where there is none. */
  goOn() {
    const next = this.trail.findIndex((item, at) => at > this.at && !item.answer);
    const any = this.trail.findIndex((item) => !item.answer);
    this.at = next >= 0 ? next : any >= 0 ? any : this.trail.length;
  }

  async say(kind, label = "") {
    const item = this.item();
    if (!item || this.app.sending) return;
    const seconds = this.since ? Math.min((performance.now() - this.since) / 1000, 86400) : null;
    if (!(await this.app.answer(kind, [item.id], label, item.answer ? null : seconds))) return;
    item.answer = { kind, label };
    this.goOn();
    while (this.trail.length > TRAIL && this.trail[0].answer) {
      this.trail.shift();
      this.at -= 1;
    }
    this.draw();
    if (this.trail.filter((one) => !one.answer).length < IN_HAND / 2) await this.fill();
  }

  /** Images that were taken back are shown again. */
  reopened(items) {
    for (const item of items) {
      const at = this.trail.findIndex((one) => one.id === item.id);
      if (at >= 0) this.trail[at].answer = null;
      else this.trail.splice(Math.min(this.at, this.trail.length), 0, { ...item, answer: null });
      this.at = this.trail.findIndex((one) => one.id === item.id);
    }
    this.draw();
  }

  /** What others answered meanwhile is let go. */
  update(state) {
    const mine = new Set(state.mine);
    const here = this.item();
    const kept = this.trail.filter((item) => item.answer || mine.has(item.id));
    if (kept.length !== this.trail.length && !this.filling) {
      this.trail = kept;
      this.at = Math.max(0, kept.indexOf(here));
      if (!kept.includes(here)) this.goOn();
    }
    this.draw();
    const isNews = state.batches !== this.batches && !state.busy;
    if (isNews) this.batches = state.batches;
    if (isNews || (this.waiting() && state.open)) this.fill();
  }

  draw() {
    const { app } = this;
    const item = this.item();
    const classes = app.state.classes.map(({ name }) => [name, name]);
    fillChoice(this.only.select, [["", "any class"], ...classes]);
    this.only.element.hidden = !app.suggests();
    this.work.hidden = !item;
    this.empty.hidden = Boolean(item);
    this.empty.textContent = item ? "" : app.waitingWords(this.only.select.value);
    this.choices.show(app.state, item?.answer?.label);
    if (!item) return;
    const open = this.trail.filter((one) => !one.answer).length;
    this.name.textContent = item.id;
    this.place.textContent = item.answer ? "Answered: " + (item.answer.label || item.answer.kind) : `${open} in hand, ${counted(app.state.open, "image")} open`;
    this.guess.hidden = this.why.hidden = !app.suggests();
    this.guess.textContent = item.predicted ? `Suggestion: ${item.predicted} (${percent(item.probability)})` : "No suggestion yet";
    if (item.predicted) this.guess.append(make("span", { class: "by-key", text: ", Enter accepts" }));
    this.why.textContent = item.why ? "Asked because: " + item.why : "";
    this.present(item);
  }

  async present(item) {
    if (this.viewer.id === item.id) return;
    this.since = null;
    await this.viewer.show(item.id);
    if (this.viewer.id !== item.id) return;
    this.since = performance.now();
    const next = this.trail.slice(this.at + 1).find((one) => !one.answer);
    if (next) this.viewer.prepare(next.id);
  }

  key(event) {
    if (this.viewer.key(event)) return true;
    const item = this.item();
    if (event.key === "ArrowLeft") this.at = Math.max(0, this.at - 1);
    else if (event.key === "ArrowRight") this.at = Math.min(this.trail.length - (this.waiting() ? 0 : 1), this.at + 1);
    else if (event.key === "Enter" && item?.predicted && this.app.suggests() && !event.target.closest?.("button, a, summary")) {
      this.say("label", item.predicted);
      return true;
    } else return this.choices.key(event.key);
    this.draw();
    return true;
  }
}
