// Tokens and their tags: how a row of tags is shown beside its words, and the editor that gives spans another tag.

import { make } from "./dom.js";
import { classKeys } from "./keys.js";
import { back, close, opened } from "./opening.js";

const OUTSIDE = "O"; // `auditor.data.token_labels.OUTSIDE`

// Words and tags of an item; undefined where they do not go together, as of a text that was cut.
const pairs = (item, label) => {
  const words = item.text?.split(" ");
  const tags = label.split(" ");
  return words?.length === tags.length ? words.map((word, k) => [word, tags[k]]) : undefined;
};

// A row of tags in few words: its spans. Labels of other forms are words already.
export const spelled = (form, label, item) => {
  if (form?.kind !== "tokens" || typeof label !== "string") return label;
  const spans = [];
  for (const [k, [word, tag]] of (pairs(item, label) ?? []).entries()) {
    const last = spans.at(-1);
    if (tag === OUTSIDE) continue;
    if (last?.tag === tag && last.end === k) { last.words += ` ${word}`; last.end = k + 1; } else spans.push({ words: word, tag, end: k + 1 });
  }
  if (spans.length) return spans.map(({ words, tag }) => `${words}: ${tag}`).join(" · ");
  return pairs(item, label) ? "no spans" : label;
};

const hue = (names, tag) => (tag === OUTSIDE ? null : `--hue: ${Math.round((360 * names.indexOf(tag)) / names.length)}`);

// The sentence with its tags; where another one is likely, the token is marked and says which.
export const sentence = ({ names }, item) => {
  const given = pairs(item, item.given);
  if (!given) return undefined;
  const likely = item.suggested?.split(" ") ?? [];
  const node = make("p", { class: "text sentence", dir: "auto", tabindex: "0", role: "region", "aria-label": "text" });
  for (const [k, [word, tag]] of given.entries()) {
    const other = likely[k] !== undefined && likely[k] !== tag ? likely[k] : null;
    const said = other ? `${tag} → ${other}` : tag === OUTSIDE ? "" : tag;
    node.append(make("span", { class: other ? "token doubted" : "token", style: hue(names, other ?? tag) }, make("span", { text: word }), said && make("small", { text: said })), " ");
  }
  return node;
};

// The tokens as buttons: arrows move, with Shift they take more, the key of a tag gives it to what is taken.
export function tokens(card) {
  const { item, data: { form: { names } } } = card;
  const words = pairs(item, item.given);
  if (!words) return;
  const tags = words.map(([, tag]) => tag);
  const likely = item.suggested?.split(" ") ?? tags;
  let from = Math.max(0, tags.findIndex((tag, k) => likely[k] !== tag));
  let to = from;
  while (likely[from] !== tags[from] && to + 1 < tags.length && tags[to + 1] === tags[from] && likely[to + 1] === likely[from]) to += 1;
  const keys = classKeys(names, card.settings.own);
  const labels = words.map(() => make("small"));
  const take = (k, more) => { to = Math.min(Math.max(k, 0), tags.length - 1); if (!more) from = to; draw(); };
  const buttons = words.map(([word], k) => make("button", { type: "button", class: "token", on: { click: (event) => { take(k, event.shiftKey); back(card); } } }, make("span", { dir: "auto", text: word }), labels[k]));
  function draw() {
    for (const [k, button] of buttons.entries()) {
      button.setAttribute("aria-pressed", String(k >= Math.min(from, to) && k <= Math.max(from, to)));
      button.setAttribute("style", hue(names, tags[k]) ?? "");
      labels[k].textContent = tags[k] === OUTSIDE ? "" : tags[k];
    }
    buttons[to].scrollIntoView({ block: "nearest" });
  }
  const give = (tag) => { for (let k = Math.min(from, to); k <= Math.max(from, to); k += 1) tags[k] = tag; draw(); };
  const done = () => { close(card); card.choose(tags.join(" ")); };
  const choices = make("div", { class: "actions" }, ...names.map((name) => card.button(name, keys.has(name) ? [keys.get(name)] : [], () => give(name), { style: hue(names, name) })));
  const actions = make("div", { class: "actions" }, card.button("these are right", ["⏎"], done), card.button("leave it", ["Esc"], () => close(card)));
  const told = make("p", { class: "quiet", text: "Arrows move, with Shift they take more tokens; the key of a tag gives it to them." });
  if (!opened(card, "edit", told, make("div", { class: "sentence" }, ...buttons), choices, actions)) return;
  draw();
  card.ticks = (name, shift) => {
    const tag = names.find((one) => keys.get(one) === name);
    if (tag !== undefined) give(tag);
    else if (name === "ArrowRight" || name === "ArrowLeft") take(to + (name === "ArrowRight" ? 1 : -1), shift);
    else if (name === "Enter") done();
    else if (name === "Escape") close(card);
    else return name.length === 1 && name !== " ";
    return true;
  };
  back(card);
}
