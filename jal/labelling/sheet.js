"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const store = "jal-sheet-" + data.key;
  const letters = "123456789abcdefghijklmnopqrstuvwxyz";
  // Each choice: the text in the CSV, the words on its button, its key.
  const choices = data.classes.map((name, at) => ({ value: name, words: name, key: letters[at] || "" }));
  if (data.unsure) choices.push({ value: "?", words: "unsure", key: "?" });
  if (data.skip) choices.push({ value: "-", words: "skip", key: "-" });
  const values = new Set(choices.map((choice) => choice.value));
  const answers = new Map();
  const cards = [];
  const find = (id) => document.getElementById(id);
  let current = 0;

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    // Names are text, never markup.
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const remember = () => {
    try {
      localStorage.setItem(store, JSON.stringify({ answers: [...answers], suggest: find("suggest").checked }));
    } catch (error) {
      find("kept").textContent = "This browser does not keep answers: save them before you leave the page.";
    }
  };

  const recall = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(store)) || {};
      const ids = new Set(data.items.map((item) => item.id));
      for (const [id, value] of kept.answers || []) {
        if (ids.has(id) && values.has(value)) answers.set(id, value);
      }
      if (kept.suggest === false) find("suggest").checked = false;
    } catch (error) {
      answers.clear();
    }
  };

  const show = (at) => {
    const { item, element, buttons } = cards[at];
    const answer = answers.get(item.id);
    element.classList.toggle("answered", answer !== undefined);
    buttons.forEach((button, index) => {
      button.setAttribute("aria-pressed", String(choices[index].value === answer));
    });
    const chosen = choices.find((choice) => choice.value === answer);
    element.setAttribute("aria-label", "Picture " + (at + 1) + " of " + cards.length + ", " + item.id + ": " +
      (chosen ? chosen.words : "no answer"));
    find("progress").max = cards.length || 1;
    find("progress").value = answers.size;
    find("count").textContent = answers.size + " of " + cards.length + " answered";
  };

  // One card is in the order of tabs, with its buttons; arrows go to the others.
  const select = (at, focus) => {
    const before = cards[current];
    current = Math.max(0, Math.min(cards.length - 1, at));
    for (const card of [before, cards[current]]) {
      const tab = card === cards[current] ? 0 : -1;
      card.element.tabIndex = tab;
      for (const button of card.buttons) button.tabIndex = tab;
    }
    if (focus) {
      cards[current].element.focus({ preventScroll: true });
      cards[current].element.scrollIntoView({ block: "nearest" });
    }
  };

  const answer = (at, value) => {
    const { item } = cards[at];
    if (value === null) answers.delete(item.id);
    else answers.set(item.id, value);
    remember();
    show(at);
    const chosen = choices.find((choice) => choice.value === value);
    find("said").textContent = item.id + ": " + (chosen ? chosen.words : "no answer");
  };

  const columns = () => {
    const top = cards[0].element.offsetTop;
    const next = cards.findIndex((card) => card.element.offsetTop > top);
    return next < 0 ? cards.length : next;
  };

  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Keys are the pictures' alone: other controls have their own.
    if (event.target !== document.body && !find("grid").contains(event.target)) return;
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const choice = choices.find((each) => each.key === key);
    if (key in moves) {
      const to = current + moves[key];
      if (to >= 0 && to < cards.length) select(to, true);
    } else if (key === "Home" || key === "End") select(key === "Home" ? 0 : cards.length - 1, true);
    else if (key === "0" || key === "Backspace") answer(current, null);
    else if (choice) {
      answer(current, choice.value);
      select(current + 1, true);
    } else return;
    event.preventDefault();
  };

  const cell = (value) => (/[",;\t\r\n]|^\s|\s$/.test(value) ? '"' + value.replaceAll('"', '""') + '"' : value);

  const save = () => {
    const names = ["id", "path", "predicted", "probability", "why", "label"];
    const rows = data.items.map((item) => names.map((name) => (name === "label" ? answers.get(item.id) || "" : item[name])));
    const table = [names, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
    const link = make("a");
    // The mark by which spreadsheets know UTF-8.
    link.href = URL.createObjectURL(new Blob(["\ufeff", table], { type: "text/csv" }));
    link.download = "labels.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    find("said").textContent = "Saved " + answers.size + " of " + cards.length + " answers as labels.csv.";
  };

  const card = (item, at) => {
    const entry = make("li");
    const element = make("div", "card");
    entry.append(element);
    element.setAttribute("role", "group");
    element.tabIndex = -1;
    const picture = make("div", "picture");
    if (item.picture) {
      const image = make("img");
      image.alt = item.id;
      image.decoding = "async";
      image.src = item.picture;
      picture.append(image);
    } else picture.append(make("p", "", "No picture: " + item.problem));
    element.append(picture, make("p", "id", item.id));
    if (item.predicted) {
      const sure = item.probability ? " (" + Math.round(100 * Number(item.probability)) + " %)" : "";
      element.append(make("p", "guess", "Suggestion: " + item.predicted + sure));
    }
    if (item.why) element.append(make("p", "why", item.why));
    const box = make("div", "classes");
    const buttons = choices.map((choice) => {
      const button = make("button");
      button.type = "button";
      button.tabIndex = -1;
      if (choice.key) {
        const key = make("kbd", "", choice.key);
        key.setAttribute("aria-hidden", "true");
        button.append(key);
        button.setAttribute("aria-keyshortcuts", choice.key);
      }
      button.append(choice.words);
      button.addEventListener("click", () => {
        select(at, false);
        answer(at, answers.get(item.id) === choice.value ? null : choice.value);
      });
      return button;
    });
    box.append(...buttons);
    element.append(box);
    element.addEventListener("focusin", () => select(at, false));
    return { item, entry, element, buttons };
  };

  recall();
  data.items.forEach((item, at) => cards.push(card(item, at)));
  find("grid").append(...cards.map((each) => each.entry));
  cards.forEach((_, at) => show(at));
  const marks = choices.slice(data.classes.length).map((mark) => mark.key + " is " + mark.words);
  if (marks.length) find("marks").textContent = "; " + marks.join(", ");
  const suggest = () => document.body.classList.toggle("hidden", !find("suggest").checked);
  suggest();
  find("suggest").addEventListener("change", () => { suggest(); remember(); });
  find("save").addEventListener("click", save);
  if (!cards.length) return;
  document.addEventListener("keydown", keys);
  select(Math.max(0, cards.findIndex((each) => !answers.has(each.item.id))), true);
})();
