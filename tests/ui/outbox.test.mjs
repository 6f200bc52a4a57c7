// Verdicts survive a server that is away, a closed tab and a name typed in two ways; keys mean the same on all layouts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { candidateKeys, meaning } from "../../auditor/ui/browser/keys.js";
import { MOST, Outbox, SEND_AGAIN_MS } from "../../auditor/ui/browser/outbox.js";

class Storage { // like localStorage
  constructor() { this.map = new Map(); }
  get length() { return this.map.size; }
  key(k) { return [...this.map.keys()][k]; }
  getItem(name) { return this.map.get(name) ?? null; }
  setItem(name, value) { this.map.set(name, value); }
  removeItem(name) { this.map.delete(name); }
}

const item = (id, own) => ({ id, given: "cat", suggested: "dog", own });

function outbox(storage = new Storage(), mirror = "run:review:Ann") {
  const sent = [];
  const clock = { now: 1000 };
  const box = new Outbox(mirror, (name, message) => sent.push(message), storage, () => clock.now);
  return { box, sent, clock, storage };
}

test("what does not fit into one message follows as soon as that one is answered", () => {
  const { box, sent } = outbox();
  const events = Array.from({ length: MOST + 3 }, (_, k) => box.verdict(item(`i${k}`), "given", 5));
  box.add(...events);
  assert.deepEqual(sent.map((message) => message.events.length), [MOST]);
  box.answered(events.slice(0, 10).map((e) => e.uuid)); // a part: the rest of the message is still on its way
  assert.equal(sent.length, 1);
  box.answered(events.slice(10, MOST).map((e) => e.uuid));
  assert.deepEqual(sent.map((message) => message.events.length), [MOST, 3]);
  box.answered(events.slice(MOST).map((e) => e.uuid));
  assert.equal(sent.length, 2);
  assert.equal(box.waiting, 0);
});

test("a verdict is sent again until it is acknowledged, and kept over a reload until then", () => {
  const { box, sent, clock, storage } = outbox();
  const event = box.verdict(item("a"), "given", 5);
  box.add(event);
  assert.equal(box.again(), false);
  clock.now += SEND_AGAIN_MS + 1;
  assert.equal(box.again(), true);
  assert.deepEqual(sent.map((message) => message.events.map((e) => e.uuid)), [[event.uuid], [event.uuid]]);
  assert.ok(sent[1].n > sent[0].n);
  const after = outbox(storage, "run:review:ann").box; // the name typed in another way
  assert.deepEqual(after.judged(), ["a"]);
  after.answered([event.uuid]);
  assert.equal(storage.length, 0);
  assert.equal(after.waiting, 0);
});

test("verdicts of another run or person stay where they are", () => {
  const { box, storage } = outbox();
  box.add(box.verdict(item("a"), "given", 5));
  for (const other of ["run2:review:Ann", "run:adjudication:Ann", "run:review:Anna"]) assert.equal(outbox(storage, other).box.waiting, 0);
});

test("a damaged entry of the storage hides none of the others, and a name with a colon is another person's", () => {
  const { box, storage } = outbox();
  for (const [k, text] of ["", "{", "null", "[]", '"x"'].entries()) storage.setItem(`auditor-outbox:run:review:Ann:0${k}`, text);
  box.add(...["a", "b"].map((id) => box.verdict(item(id), "given", 5)));
  const other = outbox(storage, "run:review:Ann:Lee").box;
  other.add(other.verdict(item("c"), "given", 5));
  assert.deepEqual(outbox(storage).box.judged(), ["a", "b"]);
  assert.deepEqual(outbox(storage, "run:review:ann:lee").box.judged(), ["c"]);
});

test("a verdict that was taken back while the server was away judges nothing", () => {
  const { box } = outbox();
  const event = box.verdict(item("a"), "given", 5);
  box.add(event, box.verdict(item("b"), "both", 5));
  box.add(box.retract(event.uuid));
  assert.deepEqual(box.judged(), ["b"]);
  assert.equal(box.waiting, 3);
});

test("a lost connection loses nothing", () => {
  const box = new Outbox("m", () => { throw new Error("not connected"); }, new Storage());
  box.add(box.verdict(item("a"), "given", 5));
  assert.equal(box.waiting, 1);
  const without = new Outbox("m", () => {}, { get length() { throw new Error("forbidden"); }, setItem() { throw new Error("full"); } });
  without.add(without.verdict(item("a"), "given", 5));
  assert.equal(without.waiting, 1);
});

test("a verdict says which one it replaces, and one that holds unseen is asked for", () => {
  const { box, sent, storage } = outbox();
  assert.equal(box.verdict(item("a", { uuid: "old" }), "given", 5).replaces, "old");
  const events = [box.verdict(item("a"), "given", 5), box.verdict(item("b"), "both", 5)];
  assert.equal(events[0].replaces, null);
  box.add(...events);
  box.answered([], events.map((event) => [event.uuid, `holds-${event.item_id}`, "neither"]));
  assert.equal(box.waiting, 0);
  assert.equal(storage.length, 2); // until it is answered: a closed tab asks again
  assert.equal(outbox(storage).box.waiting, 2);
  box.decide(true);
  assert.deepEqual(sent.at(-1).events.map((e) => [e.uuid, e.replaces]), [[events[0].uuid, "holds-a"]]);
  box.decide(false);
  assert.equal(storage.length, 1);
  assert.equal(box.questions.length, 0);
});

const KNOWN = new Set([..."gbnuxzhpw/12345"]);
const press = (key, code, shiftKey = false) => meaning({ key, code, shiftKey }, KNOWN);

test("a key means what is printed on it, else what stands in its place", () => {
  assert.equal(press("G", "KeyG"), "g");
  assert.equal(press("п", "KeyG"), "g"); // Russian
  assert.equal(press("ζ", "KeyZ"), "z"); // Greek
  assert.equal(press("&", "Digit1"), "1"); // AZERTY
  assert.equal(press("é", "Digit2"), "2");
  assert.equal(press("z", "KeyW"), "z"); // AZERTY: the letter that is printed there
  assert.equal(press("y", "KeyZ"), "y"); // QWERTZ
  assert.equal(press("!", "Digit1", true), "!");
  assert.equal(press("3", "Numpad3"), "3");
  assert.equal(press(".", "Slash"), "/"); // Russian
  assert.equal(press("Enter", "Enter"), "Enter");
  assert.equal(press("g", undefined), "g");
  assert.equal(press(undefined, undefined), ""); // what a browser fills in by itself
});

test("a digit never means the second candidate where a class is called 2", () => {
  assert.deepEqual(candidateKeys(["cat", "dog", "3D"]).keys, ["1", "2", "3", "4", "5"]);
  assert.deepEqual(candidateKeys([..."0123456789"]), { byName: true, keys: [] });
  for (const names of [["1", "2", "10"], ["2", "other"], ["-1", "0.5"]]) assert.deepEqual(candidateKeys(names).keys, ["a", "s", "d", "f", "v"]);
});

test("a comment waits for the server as a verdict does, and judges nothing", () => {
  const { box, storage } = outbox();
  const event = box.remark(item("a"), { comment: "a horse behind it" });
  box.add(event, box.remark(item("b"), { discuss: true }));
  assert.deepEqual([event.kind, event.comment, event.discuss], ["remark", "a horse behind it", null]);
  assert.deepEqual(box.judged(), []);
  assert.equal(outbox(storage).box.waiting, 2);
  box.answered([event.uuid]);
  assert.equal(box.waiting, 1);
});
