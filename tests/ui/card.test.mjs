// What the card computes without a browser: keys of one's own, the search for a class, a picture looked at closely.

import assert from "node:assert/strict";
import { test } from "node:test";

import card from "../../auditor/ui/browser/card.js";
import { classesFor } from "../../auditor/ui/browser/classes.js";
import { Fingers } from "../../auditor/ui/browser/fingers.js";
import { classKeys, COMMANDS, refused } from "../../auditor/ui/browser/keys.js";
import { MOST, moved, whole, Zoom, zoomed } from "../../auditor/ui/browser/zoom.js";
import { openPage } from "./page.mjs";

test("each class has one key, and none that means something else", () => {
  for (const classes of [["cat", "dog", "ship"], [..."0123456789"], ["2", "10", "200"], Array.from({ length: 60 }, (_, k) => `class ${k}`)]) {
    const keys = classKeys(classes);
    assert.equal(new Set(keys.values()).size, keys.size);
    for (const [name, key] of keys) {
      assert.ok(!`${COMMANDS}rc`.includes(key), key);
      assert.ok(!classes.includes(key) || key === name, `${key} of ${name}`);
    }
    assert.equal(keys.size, Math.min(classes.length, classes.some((name) => /^\d+$/.test(name)) ? keys.size : 21));
  }
  assert.deepEqual([...classKeys(["cat", "dog", "ship"])], [["cat", "1"], ["dog", "2"], ["ship", "3"]]);
  assert.deepEqual([...classKeys([..."0123456789"])].map(([name, key]) => name === key), Array(10).fill(true));
  assert.ok(![...classKeys(["2", "10", "200"]).values()].some((key) => key !== "2" && /\d/.test(key)));
});

test("own keys go first, and refused ones are passed over", () => {
  const classes = ["cat", "dog", "1"];
  assert.deepEqual(Object.fromEntries(classKeys(classes, { dog: "D", cat: "g" })), { cat: "a", dog: "d", 1: "1" });
  assert.deepEqual(Object.fromEntries(classKeys(["cat", "dog"], { cat: "2", dog: "2" })), { cat: "2", dog: "1" });
  assert.deepEqual([...classKeys(["constructor", "toString", "__proto__"]).values()], ["1", "2", "3"]); // names of classes, and no more
  assert.equal(refused("ж", "cat", classes), undefined);
  for (const [key, reason] of [["g", "meaning"], ["r", "meaning"], ["1", "another class"], ["ab", "one letter"], ["", "one letter"]]) {
    assert.match(refused(key, "cat", classes), new RegExp(reason));
  }
  assert.equal(refused("1", "1", classes), undefined);
});

test("a new class is offered only where no class is called so", () => {
  const classes = ["cat", "wild cat", "dog"];
  assert.deepEqual(classesFor("CAT", classes, ["catfish"]), { names: ["cat", "catfish", "wild cat"], fresh: null });
  assert.deepEqual(classesFor(" Fox ", classes, []), { names: [], fresh: "Fox" });
  assert.deepEqual(classesFor("do", classes, []), { names: ["dog"], fresh: "do" });
  assert.deepEqual(classesFor("fox", classes, ["Fox"]), { names: ["Fox"], fresh: null });
  assert.equal(classesFor("", classes, []).fresh || null, null);
});

test("the point under the pointer stays, and the picture always fills its place", () => {
  const [w, h] = [400, 300];
  const view = zoomed(whole, 4, 100, 60, w, h);
  assert.equal(view.scale, 4);
  assert.equal((100 - view.x) / view.scale, 100); // the same point of the picture
  assert.equal((60 - view.y) / view.scale, 60);
  assert.deepEqual(zoomed(view, 1 / 8, 300, 10, w, h), { scale: 1, x: 0, y: 0 });
  assert.equal(zoomed(whole, 1e6, 0, 0, w, h).scale, MOST);
  for (const [dx, dy] of [[1e4, 1e4], [-1e4, -1e4], [30, -20]]) {
    const { scale, x, y } = moved(view, dx, dy, w, h);
    assert.ok(x <= 0 && y <= 0 && x >= w * (1 - scale) && y >= h * (1 - scale));
  }
});

test("one finger moves, two bring nearer what is between them, a third one nothing", () => {
  const fingers = new Fingers();
  assert.equal(fingers.move(1, [5, 5]), null); // a pointer that only passes by
  fingers.down(1, [100, 100]);
  assert.deepEqual(fingers.move(1, [110, 90]), { factor: 1, x: 100, y: 100, dx: 10, dy: -10 });
  fingers.down(2, [110, 110]);
  assert.deepEqual(fingers.move(2, [110, 130]), { factor: 2, x: 110, y: 100, dx: 0, dy: 10 });
  fingers.down(3, [0, 0]);
  assert.deepEqual(fingers.move(3, [50, 50]), { factor: 1, x: 110, y: 110, dx: 0, dy: 0 });
  assert.deepEqual([fingers.up(1), fingers.up(1), fingers.count], [true, false, 2]);
  const { factor } = fingers.move(2, [50, 50]); // both in one place
  assert.equal(factor, 1);
});

// A picture in a box of 400 x 300 at (10, 20), as far as `Zoom` needs one.
const zoomIn = (closer) => {
  const listeners = {};
  const box = { addEventListener: (kind, call) => { listeners[kind] = call; }, setPointerCapture() {}, classList: { toggle() {} },
    getBoundingClientRect: () => ({ left: 10, top: 20, width: 400, height: 300 }) };
  const zoom = new Zoom(box, { style: {} }, closer);
  return { zoom, send: (kind, pointerId, x, y) => listeners[kind]({ pointerId, clientX: x + 10, clientY: y + 20 }), listeners };
};

test("a pinch enlarges the picture between the fingers, and one finger moves it then", () => {
  let closer = 0;
  const { zoom, send, listeners } = zoomIn(() => { closer++; });
  send("pointermove", 1, 50, 50);
  send("pointerdown", 1, 190, 150);
  send("pointermove", 1, 100, 150);
  assert.deepEqual(zoom.view, whole); // a whole picture is not moved
  send("pointermove", 1, 190, 150);
  send("pointerdown", 2, 210, 150);
  send("pointermove", 2, 230, 150);
  assert.equal(zoom.view.scale, 2);
  assert.equal((210 - zoom.view.x) / zoom.view.scale, 200); // what was between the fingers follows their middle, from 200 to 210
  send("pointerup", 1, 190, 150);
  const { x } = zoom.view;
  send("pointermove", 2, 210, 150);
  assert.equal(zoom.view.x, x - 20);
  send("pointercancel", 2, 210, 150);
  send("pointermove", 2, 0, 0);
  assert.equal(zoom.view.x, x - 20);
  assert.equal(closer, 1); // the whole resolution is asked for once
  let held = 0;
  for (const touches of [[1], [1, 2]]) listeners.touchmove({ touches, preventDefault: () => { held++; } });
  assert.equal(held, 1); // one finger scrolls the page
});

const cardOf = (items) => {
  const { body, press } = openPage();
  globalThis.navigator ??= {};
  globalThis.sessionStorage = window.localStorage;
  const loading = [];
  globalThis.Image = class { addEventListener(kind, call) { if (kind === "load") loading.push([this, call]); } decode() { return Promise.resolve(); } };
  const faces = (name) => Array.from({ length: 6 }, (_, k) => ({ hash: `${name}${k}`, src: `/auditor/img/${name}${k}` }));
  const classes = [...new Set(items.flatMap(({ given, suggested }) => [given, suggested]))];
  const data = { batch: items.map((item) => ({ options: [item.suggested], hash: item.id, src: `/auditor/img/${item.id}`, remark: { comment: "", discuss: false, others: {} }, ...item })),
    exemplars: Object.fromEntries(classes.map((name) => [name, faces(name)])), n_exemplars: 5, classes, new_classes: [], mirror: "m", acked: [], refused: [], conflicts: [],
    saved: 0, problem: null, page: null, round: "1", settings: null };
  const send = [];
  card({ parentElement: body, data, setStateValue: (name, value) => send.push(value) });
  return { body, press, loading, send };
};

test("every picture of a large hand is fetched once", () => {
  const { loading } = cardOf(Array.from({ length: 50 }, (_, k) => ({ id: `i${k}`, given: `g${k}`, suggested: `s${k}` })));
  const fetched = [];
  while (loading.length && fetched.length < 3000) {
    const [image, done] = loading.shift();
    fetched.push(image.src);
    done();
  }
  assert.equal(fetched.length, 50 + 100 * 6);
  assert.equal(new Set(fetched).size, fetched.length);
});

test("a picture that comes late changes nothing of the next item", () => {
  const { body, press } = cardOf([{ id: "a", given: "cat", suggested: "dog" }, { id: "b", given: "ship", suggested: "car" }]);
  const small = () => body.querySelector(".small").children.map((node) => node.src).filter(Boolean);
  const first = body.querySelector(".view").children[0];
  press("unsureu");
  const second = body.querySelector(".view").children[0];
  for (const image of [second, first]) {
    Object.assign(image, { naturalWidth: 32, naturalHeight: 32 });
    image.dispatchEvent({ type: "load" });
  }
  assert.deepEqual(small(), ["/auditor/img/b"]);
});
