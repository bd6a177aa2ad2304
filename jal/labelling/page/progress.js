// How far the session is: accuracy over labels, classes, people, batches.
import { accuracyChart, table } from "./chart.js";
import { counted, make, percent } from "./dom.js";

/** The view of what came of it so far. */
export class Progress {
  constructor(app) {
    this.app = app;
    this.body = make("div", { class: "progress" });
    this.element = make("section", { "aria-label": "Progress" }, make("h2", { text: "Progress" }), this.body);
  }

  async enter() {
    this.body.replaceChildren(make("p", { class: "empty", role: "status", text: "Measuring …" }));
    await this.load();
  }

  focus() {}

  reopened() {
    this.load();
  }

  update(state) {
    if (this.version !== undefined && state.batches !== this.batches && !state.busy) this.load();
  }

  async load() {
    this.batches = this.app.state.batches;
    const found = await this.app.call("progress");
    if (!found) return;
    this.version = this.app.state.version;
    const { state, about } = this.app;
    const audited = about.audit > 0;
    this.body.replaceChildren(...[
      make("p", { class: "lead", text: found.estimate ? "The classifier is " + found.estimate + "." : audited ? "The accuracy is not known yet." : "This session sets no images aside, so its accuracy is not known." }),
      found.advice ? make("p", { text: found.advice }) : null,
      audited ? accuracyChart(found.moments) : null,
      make("p", { class: "note", text: this.rate(state) + ` Strategy: ${about.strategy}.` }),
      this.classes(state),
      this.people(found.who),
      this.rounds(found.moments),
      this.asked(found.batches),
    ].filter(Boolean));
  }

  rate(state) {
    const rate = state.seconds ? `${state.seconds.toFixed(1)} s a label, ${Math.round(3600 / state.seconds).toLocaleString("en")} an hour. ` : "";
    return `${counted(state.labelled, "label")} of ${counted(state.size, "image")}, ${state.aside} set aside. ${rate}`;
  }

  classes(state) {
    const most = Math.max(...state.classes.map(({ count }) => count), 1);
    return make("div", {}, make("h3", { text: "Labels by class" }), make("ul", { class: "bars" }, ...state.classes.map(({ name, count }) =>
      make("li", {}, make("span", { class: "what", text: name }), make("progress", { max: String(most), value: String(count), "aria-label": name }), make("span", { class: "amount", text: String(count) })))));
  }

  people(who) {
    return who.length > 1 ? table("Labels by person", ["who", "labels"], who.map(({ name, count }) => [name, count])) : null;
  }

  rounds(moments) {
    if (!moments.length) return null;
    const rows = moments.map(({ round, labels, estimate, flips }) => [round, labels, estimate ? percent(estimate.accuracy) : "",
      estimate ? `${percent(estimate.low)} to ${percent(estimate.high)}` : "", flips === null ? "" : percent(flips)]);
    return table("By round", ["round", "trained on", "accuracy", "95 % interval", "predictions that changed"], rows);
  }

  asked(batches) {
    if (!batches.length) return null;
    const rows = batches.map((ask) => [ask.round, new Date(ask.time).toLocaleString(), ask.images, ask.answered, ask.audits || "",
      ask.labels ? ask.labels + (ask.ahead ? ", ahead" : "") : "none"]);
    return table("What was asked", ["batch", "when", "images", "answered", "of them audits", "labels trained on"], rows);
  }
}
