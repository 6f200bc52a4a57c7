// The gallery: what is selected and judged, also while the server's answers come and the page is drawn anew.

import assert from "node:assert/strict";
import { test } from "node:test";

import gallery from "../../auditor/ui/browser/gallery.js";
import { openPage } from "./page.mjs";

const item = (id, more) => ({ id, given: "cat", suggested: "dog", own: null, note: "", text: "words", ...more });

function open(items = [item("a"), item("b"), item("c")]) {
  const { body, press } = openPage();
  const sent = { outbox: [], all: [] };
  const last = { items, list: false, selectable: true, acked: [], refused: [], conflicts: [], saved: 0, problem: null, mirror: "m", filter: "f",
    total: 300, most: 5000, classes: ["cat", "dog", "ship"], new_classes: ["fox"] };
  const receive = (more = {}) => gallery({ parentElement: body, data: Object.assign(last, { refused: [], conflicts: [] }, more), setStateValue: (name, value) => sent[name].push(value) });
  receive();
  const tile = (id) => body.querySelectorAll(".tile").find((node) => node.title === id);
  return { body, press, receive, tile, sent, events: () => sent.outbox.at(-1).events, says: (id) => tile(id).querySelector("small").textContent,
    dialog: () => body.querySelector("dialog[open]") };
}

const type = (body, words) => {
  const input = body.querySelector("input");
  input.value = words;
  input.dispatchEvent({ type: "input" });
  return { input, press: (key) => (document.activeElement === input ? input.dispatchEvent({ type: "keydown", key }) : document.activeElement.click()) };
};

test("any class is given to what is selected: of the data, one that others have named, and a new one", () => {
  for (const [words, keys, verdict] of [["sh", ["Enter"], "other:ship"], ["o", ["ArrowDown", "Enter"], "new:fox"], ["wolf", ["Enter", "Enter"], "new:wolf"]]) {
    const page = open();
    page.tile("a").click();
    page.tile("c").click();
    page.press("another class");
    const field = type(page.dialog(), words);
    for (const key of keys) { assert.equal(page.sent.outbox.length, 0); field.press(key); }
    assert.deepEqual(page.events().map((e) => [e.item_id, e.verdict]), [["a", verdict], ["c", verdict]]);
    assert.equal(page.says("a"), `you: ${verdict.replace("other:", "").replace("new:", "new class ")}`);
    assert.equal(page.dialog(), null);
  }
});

test("a dialog stays open while an answer draws the page anew", () => {
  const page = open();
  page.tile("a").click();
  page.press("neither");
  page.tile("b").click();
  page.press("another class");
  const box = page.dialog();
  page.receive({ acked: page.events().map((e) => e.uuid), items: [item("b"), item("c")] });
  assert.equal(page.dialog(), box);
  assert.ok(box.isConnected);
  type(box, "ship").press("Enter");
  assert.deepEqual(page.events().map((e) => [e.item_id, e.verdict]), [["b", "other:ship"]]);
});

test("an item that left the page while it was looked at is not selected, and the others are", async () => {
  const page = open();
  page.tile("b").dispatchEvent({ type: "dblclick" });
  const box = page.dialog();
  page.receive({ items: [item("a"), item("c")] });
  page.press("selectedSpace", box);
  page.press("next→", box);
  page.press("selectedSpace", box);
  box.close();
  page.press("neither");
  assert.deepEqual(page.events().map((e) => e.item_id), ["a"]);
});

test("one goes around the page in both directions, and leaves it where it is emptied", () => {
  const page = open();
  page.tile("a").dispatchEvent({ type: "dblclick" });
  const box = page.dialog();
  const seen = (words) => { page.press(words, box); return box.dataset.item; };
  assert.deepEqual(Array.from({ length: 8 }, () => seen("previous←")), ["c", "b", "a", "c", "b", "a", "c", "b"]);
  assert.deepEqual(Array.from({ length: 4 }, () => seen("next→")), ["c", "a", "b", "c"]);
  page.receive({ items: [] });
  page.press("next→", box);
  assert.equal(page.dialog(), null);
});

test("a tile says what holds: not what was refused, and not what gave way to an earlier verdict", () => {
  const page = open([item("a"), item("b", { own: { uuid: "old", verdict: "both" } })]);
  for (const id of ["a", "b"]) page.tile(id).click();
  page.press("neither");
  const [a, b] = page.events();
  assert.deepEqual(["a", "b"].map(page.says), ["you: neither", "you: neither"]);
  page.receive({ acked: [a.uuid], refused: [[a.uuid, "unknown item"]], conflicts: [[b.uuid, "other tab", "unsure"]] });
  page.press("keep the earlier ones", page.dialog());
  assert.equal(page.says("b"), "you: unsure");
  page.receive({ items: [item("a"), item("b", { own: { uuid: "other tab", verdict: "unsure" } })] });
  assert.deepEqual(["a", "b"].map(page.says), [" ", "you: unsure"]);
  page.tile("b").click(); // what replaces it says so
  page.press("unsure");
  assert.equal(page.events()[0].replaces, "other tab");
  const refused = open([item("a")]); // nothing else changes on the page
  refused.tile("a").click();
  refused.press("neither");
  refused.receive({ acked: refused.events().map((e) => e.uuid), refused: [[refused.events()[0].uuid, "unknown item"]] });
  assert.equal(refused.says("a"), " ");
});

test("everything of a filter is asked for once, and another filter asks anew", () => {
  const page = open();
  page.press("select all 300");
  assert.deepEqual(page.sent.all, ["f"]);
  page.press("select all 300"); // it is on its way
  assert.deepEqual(page.sent.all, ["f"]);
  page.receive({ filter: "g", total: 200, items: [item("d"), item("e")] });
  page.press("select all 200");
  assert.deepEqual(page.sent.all, ["f", "g"]);
  page.receive({ all: [["d", "cat", "dog", null, null], ["x", "ship", null, "given", "u"]] });
  page.press("neither");
  page.press("give 2 verdicts", page.dialog());
  assert.deepEqual(page.events().map((e) => [e.item_id, e.shown_label, e.replaces]), [["d", "cat", null], ["x", "ship", "u"]]);
});

test("links to other pages keep the name of who is here", () => {
  const page = open([item("a b&c")]);
  page.tile("a b&c").dispatchEvent({ type: "dblclick" });
  assert.equal(page.dialog().querySelector("a").getAttribute("href"), "review?item=a+b%26c&reviewer=Ann");
});
