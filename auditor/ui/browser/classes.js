// One class out of many, found by its name.

import { dialog, key, make } from "./dom.js";

const LONGEST_NAME = 100; // of a new class

// Names that hold every one of the words, those that begin with them first, then in their own order; at most `most`.
export function matching(names, words, most = 12) {
  const wanted = words.trim().toLowerCase();
  const parts = wanted.split(/\s+/);
  const rank = (name) => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2);
  return names.map((name, at) => ({ name, at, low: name.toLowerCase() })).filter(({ low }) => parts.every((part) => low.includes(part)))
    .sort((a, b) => rank(a.low) - rank(b.low) || a.at - b.at).slice(0, most).map(({ name }) => name);
}

// What fits the words: classes of the data and those that others have `named`, and the name of a new one where none is called so.
export const classesFor = (words, classes, named) => {
  const known = [...classes, ...named], wanted = words.trim();
  const fresh = wanted && !known.some((name) => name.toLowerCase() === wanted.toLowerCase()) ? wanted.slice(0, LONGEST_NAME) : null;
  return { names: matching(known, words), fresh };
};

// A field for the name of a class, with the classes that fit it. Arrow keys go through them, Enter takes the marked one, but
// never makes a new class at once: a slip of the finger would. `chosen` gets the name, and whether the data has no such class.
export function classField(classes, named, chosen, closed) {
  const known = new Set(classes);
  let at = 0;
  const list = make("div", { class: "classes", role: "listbox", "aria-label": "classes", id: "classes" });
  // A key held down on the way to this button presses nothing.
  const below = make("div", { class: "classes", on: { keydown: (event) => { if (event.repeat) event.preventDefault(); } } });
  const button = (label, keys, name, more) => make("button", { type: "button", ...more, on: { click: () => chosen(name, !known.has(name)) } }, make("span", { dir: "auto", text: label }), keys && key(keys));
  const show = () => {
    const { names, fresh } = classesFor(input.value, classes, named);
    at = Math.min(at, Math.max(0, names.length - 1));
    list.replaceChildren(...names.map((name, k) => button(known.has(name) ? name : `${name} (new class)`, k === at && "⏎", name,
      { class: "act", role: "option", tabindex: "-1", "aria-selected": String(k === at) })));
    below.replaceChildren(fresh ? button(`new class “${fresh}”`, !names.length && "⏎ ⏎", fresh, { class: "act fresh" }) : "");
    return names;
  };
  const input = make("input", { type: "search", placeholder: "class name, then Enter", role: "combobox", "aria-label": "class search", "aria-expanded": "true",
    "aria-controls": "classes", autofocus: "", on: {
      input: () => { at = 0; show(); },
      keydown: (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) { event.preventDefault(); at = Math.max(0, at + step); show(); }
        if (event.key === "Enter") {
          event.preventDefault();
          const name = show()[at];
          if (name !== undefined) chosen(name, !known.has(name));
          else below.querySelector(".fresh")?.focus();
        }
        if (event.key === "Escape") closed();
        else event.stopPropagation();
      } } });
  show();
  return { input, found: [list, below] };
}

// Asks for a class in a dialog.
export function chooseClass(parent, title, classes, named, chosen) {
  const { input, found } = classField(classes, named, (name, fresh) => { node.close(); chosen(name, fresh); }, () => {});
  const node = dialog(parent, title, null, make("h2", { text: title }), input, ...found);
  input.focus();
}
