// What the card computes without a browser: keys of one's own, the search for a class, a picture looked at closely.

import assert from "node:assert/strict";
import { test } from "node:test";

import { classKeys, COMMANDS, refused } from "../../auditor/ui/browser/keys.js";
import { classesFor } from "../../auditor/ui/browser/panels.js";
import { MOST, moved, whole, zoomed } from "../../auditor/ui/browser/zoom.js";

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
