// One image large: zoom, pan, brightness and contrast, by mouse, touch and keys.
import { button, make } from "./dom.js";
import { showPicture } from "./transport.js";

const MOST = 40;
const STEP = 1.3;

/** A stage with one image, and its controls. */
export class Viewer {
  constructor(api) {
    this.api = api;
    this.points = new Map();
    this.image = make("img", { alt: "", draggable: "false" });
    this.missing = make("p", { class: "missing", text: "This image cannot be shown. Skip it, or look at its file." });
    this.stage = make("div", { class: "stage" }, this.image, this.missing);
    this.brightness = this.slider("Brightness");
    this.contrast = this.slider("Contrast");
    this.scaleText = make("output", { class: "scale", "aria-label": "Zoom" });
    this.tools = make("div", { class: "tools", role: "group", "aria-label": "View of the image" },
      button("−", () => this.zoom(1 / STEP), { "aria-label": "Zoom out", title: "Zoom out (,)", "aria-keyshortcuts": "," }),
      this.scaleText,
      button("+", () => this.zoom(STEP), { "aria-label": "Zoom in", title: "Zoom in (.)", "aria-keyshortcuts": "." }),
      button("Fit", () => this.fit(), { title: "Whole image (;)", "aria-keyshortcuts": ";" }),
      this.brightness.element, this.contrast.element,
      button("Reset", () => this.reset(), { "aria-label": "Reset brightness and contrast" }));
    this.element = make("div", { class: "viewer" }, this.stage, this.tools);
    this.listen();
    this.fit();
  }

  /** Shows an image; resolves once it is there. */
  async show(id) {
    if (this.id === id) return;
    this.id = id;
    this.image.alt = "Image " + id;
    this.fit();
    await showPicture(this.image, this.api, id, 0);
  }

  /** Loads an image that is likely to come next. */
  async prepare(id) {
    const ahead = new Image();
    ahead.src = await this.api.picture(id, 0);
    this.ahead = ahead;
  }

  slider(text) {
    const input = make("input", { type: "range", min: "20", max: "300", value: "100", on: { input: () => this.draw() } });
    return { input, element: make("label", { class: "slider" }, make("span", { text }), input) };
  }

  reset() {
    this.brightness.input.value = this.contrast.input.value = "100";
    this.draw();
  }

  fit() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.draw();
  }

  /** Zooms about a point of the stage; its middle by default. */
  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    const grown = scale / this.scale;
    this.x = x - grown * (x - this.x);
    this.y = y - grown * (y - this.y);
    this.scale = scale;
    this.draw();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.draw();
  }

  draw() {
    const { stage, scale } = this;
    const within = (value, size) => Math.min(0, Math.max(value, size * (1 - scale)));
    this.x = within(this.x, stage.clientWidth);
    this.y = within(this.y, stage.clientHeight);
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${scale})`;
    const [light, contrast] = [this.brightness.input.value, this.contrast.input.value];
    this.image.style.filter = light === "100" && contrast === "100" ? "" : `brightness(${light}%) contrast(${contrast}%)`;
    this.image.classList.toggle("pixels", scale > 6);
    stage.classList.toggle("zoomed", scale > 1);
    this.scaleText.textContent = "× " + scale.toFixed(1);
  }

  /** What a key does; true where it does something. */
  key(event) {
    const far = 60;
    const moves = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    if (event.shiftKey && event.key in moves) this.pan(...moves[event.key]);
    else if (event.key === ".") this.zoom(STEP);
    else if (event.key === ",") this.zoom(1 / STEP);
    else if (event.key === ";") this.fit();
    else return false;
    return true;
  }

  listen() {
    const { stage, points } = this;
    const place = (event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), ...place(event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => (this.scale > 1 ? this.fit() : this.zoom(3, ...place(event))));
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      points.set(event.pointerId, place(event));
    });
    stage.addEventListener("pointermove", (event) => this.drag(event, place(event)));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => points.delete(event.pointerId));
  }

  /** One finger or the mouse pans, two fingers zoom. */
  drag(event, [x, y]) {
    const before = this.points.get(event.pointerId);
    if (!before) return;
    const others = [...this.points].filter(([id]) => id !== event.pointerId);
    if (others.length === 1) {
      const [, [otherX, otherY]] = others[0];
      const far = (point) => Math.hypot(point[0] - otherX, point[1] - otherY) || 1;
      this.zoom(far([x, y]) / far(before), (x + otherX) / 2, (y + otherY) / 2);
    } else this.pan(x - before[0], y - before[1]);
    this.points.set(event.pointerId, [x, y]);
  }
}
