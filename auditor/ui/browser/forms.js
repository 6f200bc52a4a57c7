// The right label, where labels are no classes: an editor for each form they have.

import { key, make } from "./dom.js";
import { classKeys } from "./keys.js";
import { back, close, opened } from "./opening.js";
import { tokens } from "./tokens.js";

// What the button says, what the keys do, and what opens.
export const EDITORS = {
  multilabel: { word: "other tags", told: "other tags: each has its key, Enter takes what is ticked", open: tags },
  regression: { word: "another number", told: "another number: type it, Enter takes it", open: number },
  ordinal: { word: "another class", told: "another class: each has its key, from the lowest to the highest", open: levels },
  tokens: { word: "other tags", told: "other tags: arrows take tokens, the key of a tag gives it to them, Enter takes what is there", open: tokens },
};

export function edit(card) {
  if (card.item) EDITORS[card.data.form.kind].open(card);
}

// Ordered classes, each with a key that chooses it.
function levels(card) {
  const { names } = card.data.form;
  const keys = classKeys(names, card.settings.own);
  const chosen = (name) => { close(card); card.choose(name); };
  const list = make("div", { class: "ticks" }, ...names.map((name) => card.button(name, keys.has(name) ? [keys.get(name)] : [], () => chosen(name),
    { "aria-current": name === card.item.given ? "true" : null })));
  const actions = make("div", { class: "actions" }, card.button("leave it", ["Esc"], () => close(card)));
  if (!opened(card, "edit", make("p", { class: "quiet", text: "From the lowest to the highest." }), list, actions)) return;
  card.ticks = (name) => {
    const level = names.find((one) => keys.get(one) === name);
    if (level !== undefined) chosen(level);
    else if (name === "Escape") close(card);
    else return name.length === 1 && name !== " ";
    return true;
  };
  back(card);
}

// Tick boxes, each with a key; what is ticked is the verdict.
function tags(card) {
  const { names, none, separator } = card.data.form;
  const has = new Set(card.item.given === none ? [] : card.item.given.split(separator));
  const keys = classKeys(names, card.settings.own);
  const boxes = new Map(names.map((name) => [name, make("input", { type: "checkbox", checked: has.has(name) ? "" : null, "aria-keyshortcuts": keys.get(name) ?? null })]));
  const done = () => { const set = names.filter((name) => boxes.get(name).checked); close(card); card.choose(set.join(separator) || none); };
  const list = make("div", { class: "ticks" }, ...names.map((name) => make("label", {},
    boxes.get(name), ...(keys.has(name) ? [key(keys.get(name))] : []), make("span", { dir: "auto", text: name }))));
  const actions = make("div", { class: "actions" }, card.button("these are right", ["⏎"], done), card.button("leave it", ["Esc"], () => close(card)));
  if (!opened(card, "edit", make("p", { class: "quiet", text: "Tick what applies." }), list, actions)) return;
  card.ticks = (name) => {
    const tag = names.find((one) => keys.get(one) === name);
    if (tag !== undefined) boxes.get(tag).checked = !boxes.get(tag).checked;
    else if (name === "Enter") done();
    else if (name === "Escape") close(card);
    else return name.length === 1 && name !== " "; // no other letter is a verdict meanwhile
    return true;
  };
  back(card);
}

function number(card) {
  const told = make("p", { class: "bad", role: "alert" });
  const done = () => {
    const words = field.value.trim().replace(",", ".");
    if (!words || !Number.isFinite(Number(words))) { told.textContent = "This is no number."; return; }
    close(card);
    card.choose(String(Number(words)));
  };
  const field = make("input", { type: "text", inputmode: "decimal", dir: "ltr", "aria-label": "the right number", on: {
    keydown: (event) => {
      if (event.key === "Enter") { event.preventDefault(); done(); }
      if (event.key === "Escape") close(card);
      event.stopPropagation();
    } } });
  if (!opened(card, "edit", field, told, make("div", { class: "actions" }, card.button("this is right", ["⏎"], done), card.button("leave it", ["Esc"], () => close(card))))) return;
  field.focus({ preventScroll: true });
}
