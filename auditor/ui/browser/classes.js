// One class out of many, found by its name.

import { dialog, key, make } from "./dom.js";

// Names that hold every one of the words, those that begin with them first, then in their own order; at most `most`.
export function matching(names, words, most = 12) {
  const wanted = words.trim().toLowerCase();
  const parts = wanted.split(/\s+/);
  const rank = (name) => (name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2);
  return names.map((name, at) => ({ name, at, low: name.toLowerCase() })).filter(({ low }) => parts.every((part) => low.includes(part)))
    .sort((a, b) => rank(a.low) - rank(b.low) || a.at - b.at).slice(0, most).map(({ name }) => name);
}

// Asks for a class in a dialog; `chosen` gets its name. Arrow keys go through the list, Enter takes the first or the marked one.
export function chooseClass(parent, title, names, chosen) {
  let at = 0;
  const list = make("div", { class: "classes", role: "listbox", "aria-label": "classes", id: "classes" });
  const input = make("input", { type: "search", placeholder: "class name", role: "combobox", "aria-label": "class name", "aria-expanded": "true", "aria-controls": "classes", autofocus: "" });
  const take = (name) => { node.close(); chosen(name); };
  const show = () => {
    const shown = matching(names, input.value);
    at = Math.min(at, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((name, k) => make("button", { type: "button", class: "act", role: "option", tabindex: "-1", "aria-selected": String(k === at), on: { click: () => take(name) } },
      make("span", { dir: "auto", text: name }), k === at ? key("⏎") : null)));
    if (!shown.length) list.append(make("p", { text: "No class has that name." }));
    return shown;
  };
  input.addEventListener("input", () => { at = 0; show(); });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); at = Math.max(0, at + step); show(); }
    if (event.key === "Enter") { event.preventDefault(); const name = show()[at]; if (name !== undefined) take(name); }
    if (event.key !== "Escape") event.stopPropagation();
  });
  const node = dialog(parent, title, null, make("h2", { text: title }), input, list);
  show();
  input.focus();
  return node;
}
