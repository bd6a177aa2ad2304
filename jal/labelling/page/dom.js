// Elements, made of plain values: whatever a name holds, it is text and never markup.

/**
 * Makes an element.
 * @param {string} tag
 * @param {Object} settings - attributes; `text` is its text, `on` its listeners; false and null leave out.
 * @param {...(Node|string|null)} children
 */
export function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (name === "text") element.textContent = value;
    else if (name === "on") Object.entries(value).forEach(([event, act]) => element.addEventListener(event, act));
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A button with a name; `key` is shown on it, and told to a screen reader. */
export function button(text, act, { key = "", ...settings } = {}) {
  const shown = key ? [make("kbd", { "aria-hidden": "true", text: key })] : [];
  return make("button", { type: "button", "aria-keyshortcuts": key || null, on: { click: act }, ...settings },
    ...shown, make("span", { text }));
}

/** A labelled choice among pairs of value and text. */
export function choice(text, pairs, act) {
  const select = make("select", { on: { change: () => act(select.value) } });
  fillChoice(select, pairs);
  return { element: make("label", { class: "field" }, make("span", { text }), select), select };
}

/** Gives a choice other pairs, and keeps what was chosen where it is still there. */
export function fillChoice(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value, text })));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

/** A share as a percentage. */
export function percent(share) {
  return share === null || share === undefined ? "" : Math.round(100 * share) + "\u00a0%";
}

/** A number with its noun. */
export function counted(count, one, several = one + "s") {
  return count.toLocaleString("en") + " " + (count === 1 ? one : several);
}

/** What this browser remembers of how someone likes the page; never what they said of images. */
export const habits = {
  read(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem("jal-" + name)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  write(name, value) {
    try {
      localStorage.setItem("jal-" + name, JSON.stringify(value));
    } catch {
      // A browser that keeps nothing works as well.
    }
  },
};
