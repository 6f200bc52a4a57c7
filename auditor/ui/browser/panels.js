// What opens beside the card: the search for a class, reasons, items like this one, a comment, guidelines, the keys.
// Each closes with its own key or Escape, and the card has the focus again.

import { classField } from "./classes.js";
import { address, dialog, isPicture, key, make, table } from "./dom.js";
import { EDITORS } from "./forms.js";
import { classKeys, refused } from "./keys.js";
import { back, close, opened } from "./opening.js";

const LONGEST_COMMENT = 2000;

const ask = async (path) => {
  try { return await (await fetch(path)).json(); } catch { return { error: "the server does not answer" }; }
};

// --- another class, by name: one of the data's, one that others have named, or a new one ------------------------------

export function search(card) {
  if (!card.item) return;
  const { classes, new_classes: named } = card.data;
  const { input, found } = classField(classes, named, (name, fresh) => {
    card.extra.replaceChildren();
    if (fresh) card.judge(`new:${name}`);
    else card.choose(name);
    back(card);
  }, () => close(card));
  delete card.extra.dataset.panel;
  opened(card, "search", input, ...found);
  input.focus({ preventScroll: true });
}

// --- reasons and items like this --------------------------------------------------------------------------------------

const nearby = (card, n, link) => {
  const face = isPicture(n.src) ? card.picture(n.src, `labelled ${n.given}`, false) : make("p", { class: "snippet", dir: "auto", text: n.text || "(empty)" });
  const judged = n.judged === undefined ? "" : n.judged ? " · judged" : " · not judged";
  return make("figure", { class: "near" }, link ? make("a", { href: address("review", { item: n.id }), target: "_blank", title: n.id }, face) : face,
    make("figcaption", { text: `${n.given} ${n.similarity.toFixed(2)}${judged}` }));
};

export async function why(card) {
  const { item } = card;
  if (!item || !opened(card, "why", make("p", { text: "…" }))) return;
  const box = card.extra;
  const told = await ask(`/auditor/why?item=${encodeURIComponent(item.id)}`);
  if (box.dataset.panel !== "why") return;
  const maps = (told.maps ?? []).map((m) => make("figure", { class: "near" },
    card.picture(m.src, `where the network looked for ${m.name}`, false), make("figcaption", { text: `looked at for ${m.name}` })));
  box.replaceChildren(make("ul", {}, ...(told.error ? [told.error] : told.lines).map((line) => make("li", { text: line }))),
    make("div", { class: "neighbours maps" }, ...maps),
    make("div", { class: "neighbours" }, ...(told.neighbours ?? []).map((n) => nearby(card, n, false))));
}

export async function near(card) {
  const { item } = card;
  if (!item || !opened(card, "near", make("p", { text: "looking for items like this …" }))) return;
  const box = card.extra;
  const told = await ask(`/auditor/near?item=${encodeURIComponent(item.id)}`);
  if (box.dataset.panel !== "near") return;
  box.replaceChildren(...(told.error ? [make("p", { text: told.error })] : [
    make("p", { text: `The nearest items by ${told.embedding}; each opens on a card of its own.` }),
    make("div", { class: "neighbours" }, ...told.items.map((n) => nearby(card, n, true)))]));
}

// --- a comment --------------------------------------------------------------------------------------------------------

export function comment(card) {
  const { item } = card;
  if (!item) return;
  const save = () => { const words = field.value.trim(); close(card); if (words !== item.remark.comment) { card.remark({ comment: words }); card.say(words ? "Comment kept" : "Comment taken out"); } };
  const field = make("textarea", { rows: 3, maxlength: LONGEST_COMMENT, dir: "auto", "aria-label": "comment on this item", on: {
    keydown: (event) => {
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); save(); }
      if (event.key === "Escape") close(card);
      event.stopPropagation();
    } } });
  field.value = item.remark.comment;
  if (!opened(card, "comment", field, make("div", { class: "actions" }, card.button("keep the comment", ["⏎"], save), card.button("leave it", ["Esc"], () => close(card))))) return;
  field.focus();
}

// --- guidelines -------------------------------------------------------------------------------------------------------

export async function guidelines(card) {
  const { item } = card;
  if (!item) return;
  const body = make("div", {}, make("p", { text: "…" }));
  const shut = card.button("close", ["k"], () => card.modal?.close(), { autofocus: "" });
  const node = dialog(card.root, "guidelines", () => back(card), shut, make("h2", { text: "Guidelines" }), body);
  node.classList.add("drawer");
  node.dataset.key = "k";
  const told = await ask("/auditor/guidelines");
  const written = told.guidelines ?? {};
  const edit = (name, more) => address("guidelines", { class: name, ...(more && { item: item.id }) });
  const about = (name) => {
    const rule = Object.hasOwn(written, name) ? written[name] : null;
    const faces = rule?.exemplars.length ? rule.exemplars : card.exemplarsOf(name);
    const face = (e) => (isPicture(e.src) ? card.picture(e.src, `exemplar of ${name}`, false) : make("p", { class: "snippet", dir: "auto", text: e.text || "(empty)" }));
    return make("section", {}, make("h3", { dir: "auto", text: name }),
      make("p", { class: "definition", dir: "auto", text: rule?.definition || "Nobody has written down yet what belongs to it." }),
      faces.length ? make("p", { class: "quiet", text: rule?.exemplars.length ? "Exemplars" : "Items the model is surest of" }) : null,
      make("div", { class: `examples ${item.src ? "faces" : "snippets"}` }, ...faces.slice(0, 10).map(face)),
      make("p", { class: "quiet" }, rule ? `version ${rule.version}, ${rule.by}, ${rule.when} ` : "",
        card.data.may_edit ? make("a", { href: edit(name), target: "_blank", text: "edit" }) : null, " ",
        card.data.may_edit ? make("a", { href: edit(name, true), target: "_blank", text: "add this item as an exemplar" }) : null));
  };
  const names = [...new Set([item.given, item.suggested, ...card.data.classes.filter((name) => Object.hasOwn(written, name))])].filter(Boolean);
  body.replaceChildren(...(told.error ? [make("p", { text: told.error })] : names.map(about)));
}

// --- keys -------------------------------------------------------------------------------------------------------------

export function help(card) {
  const candidates = card.keys.byName ? ["0 – 9", "the class of this digit is right"]
    : [card.data.form ? "1" : card.keys.keys.join(" "), card.data.form ? "the other candidate is right" : "this class is right, likeliest first"];
  const { form } = card.data;
  const right = form ? ["e, /", EDITORS[form.kind].told] : ["/", "another class, by name; also a new one"];
  const rows = [["g, Enter", "the given label is right"], card.fixed ? ["key of a class", "this class is right"] : candidates, right,
    ...(form ? [] : [["b", "the given label and the other candidate both apply"], ["n", "no class of this data applies"]]), ["u", "cannot tell"], ["x", "broken, empty or unreadable"],
    ["z, Backspace", "take the last verdict back"], ["← →", "look at another item first"], ["Space, Page keys", "scroll a long text"],
    ["wheel, two fingers, + −", "zoom the picture; drag it, or Shift with the arrows, to move"], ["p", "hard pixels or smooth"],
    ["w", "why the model doubts it"], ["l", "items like this"], ["m", "comment"], ["t", "to be discussed, or not"], ...(form ? [] : [["k", "guidelines of the classes"]]), ["h, Esc", "close this"]];
  const shut = card.button("close", ["h"], () => card.modal.close(), { autofocus: "" });
  const node = dialog(card.root, "keys", () => back(card), shut, make("h2", { text: "Keys" }), table(rows), form ? null : ownKeys(card));
  node.classList.add("help");
  node.dataset.key = "h";
}

function ownKeys(card) {
  const { classes } = card.data;
  const told = make("p", { class: "bad", role: "alert" });
  const list = make("div", { class: "own-keys" });
  const change = (settings) => { card.set(settings); show(); };
  const field = (name, key) => make("label", {}, make("span", { dir: "auto", text: name }),
    make("input", { type: "text", maxlength: 1, size: 2, value: key ?? "", "aria-label": `key of ${name}`, on: {
      change: (event) => {
        const wanted = event.target.value.trim().toLowerCase();
        const reason = wanted && refused(wanted, name, classes);
        told.textContent = reason || "";
        if (reason) { event.target.value = key ?? ""; return; }
        const own = Object.fromEntries(Object.entries(card.settings.own).filter(([other, k]) => other !== name && k !== wanted));
        change({ fixed: true, own: wanted ? { ...own, [name]: wanted } : own });
      } } }));
  const show = () => {
    const keys = classKeys(classes, card.settings.own);
    list.replaceChildren(...(card.settings.fixed ? classes.slice(0, 60).map((name) => field(name, keys.get(name))) : []));
  };
  const box = make("input", { type: "checkbox", checked: card.settings.fixed ? "" : null, on: { change: () => change({ ...card.settings, fixed: box.checked }) } });
  show();
  return make("fieldset", {}, make("legend", { text: "Own keys" }), make("label", { class: "line" }, box, make("span", { text: "one fixed key for each class" })), list, told);
}
