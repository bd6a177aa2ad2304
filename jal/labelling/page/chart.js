// The accuracy over labels as a small chart: a line, the band of its interval, and words.
import { make, percent } from "./dom.js";

const SIZE = { width: 640, height: 260, left: 74, right: 14, top: 16, bottom: 54 };

function shape(tag, settings, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(settings)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A chart of the rounds that were measured. */
export function accuracyChart(moments) {
  const points = moments.filter((moment) => moment.estimate).map(({ labels, estimate }) => ({ labels, ...estimate }));
  if (!points.length) return make("p", { class: "note", text: "The accuracy is shown once some of the audit images have an answer." });
  const most = Math.max(...points.map((point) => point.labels), 1);
  const x = (labels) => SIZE.left + (SIZE.width - SIZE.left - SIZE.right) * (labels / most);
  const y = (share) => SIZE.top + (SIZE.height - SIZE.top - SIZE.bottom) * (1 - share);
  const last = points[points.length - 1];
  const svg = shape("svg", { viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, class: "chart", role: "img",
    "aria-label": `Accuracy over labels: ${percent(last.accuracy)} with ${last.labels} labels, interval ${percent(last.low)} to ${percent(last.high)}` });
  drawAxes(svg, most, x, y);
  const path = (name) => points.map((point) => `${x(point.labels).toFixed(1)},${y(point[name]).toFixed(1)}`);
  svg.append(shape("polygon", { class: "band", points: [...path("high"), ...path("low").reverse()].join(" ") }),
    shape("polyline", { class: "curve", points: path("accuracy").join(" ") }));
  for (const point of points) {
    svg.append(shape("line", { class: "whisker", x1: x(point.labels), x2: x(point.labels), y1: y(point.low), y2: y(point.high) }));
    const dot = shape("circle", { class: "dot", cx: x(point.labels), cy: y(point.accuracy), r: 4 });
    dot.append(shape("title", {}, `${point.labels} labels: ${percent(point.accuracy)} (${percent(point.low)} to ${percent(point.high)})`));
    svg.append(dot);
  }
  return make("figure", { class: "figure" }, svg, make("figcaption", { text: "Accuracy on images like these, with its 95 % interval" }));
}

function drawAxes(svg, most, x, y) {
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(shape("line", { class: "grid", x1: SIZE.left, x2: SIZE.width - SIZE.right, y1: y(share), y2: y(share) }),
      shape("text", { x: SIZE.left - 8, y: y(share) + 4, "text-anchor": "end" }, percent(share)));
  }
  for (const labels of ticks(most)) svg.append(shape("text", { x: x(labels), y: SIZE.height - 32, "text-anchor": "middle" }, String(labels)));
  svg.append(shape("text", { x: (SIZE.left + SIZE.width) / 2, y: SIZE.height - 6, "text-anchor": "middle" }, "labels trained on"));
}

function ticks(most) {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) || 1;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, at) => at * step);
}

/** A table from a head and rows of text. */
export function table(caption, head, rows) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", {}, make("caption", { text: caption }),
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((text) => make("td", { text: String(text) })))))));
}
