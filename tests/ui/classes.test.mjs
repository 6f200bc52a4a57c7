// A class is found by words of its name.

import assert from "node:assert/strict";
import { test } from "node:test";

import { matching } from "../../auditor/ui/browser/classes.js";

const names = ["sea lion", "lion", "dandelion", "lion fish", "LION king", "cat"];

test("a whole name comes first, then names that begin so, then all others in their own order", () => {
  assert.deepEqual(matching(names, "lion"), ["lion", "lion fish", "LION king", "sea lion", "dandelion"]);
  assert.deepEqual(matching(names, " Lion  f"), ["lion fish"]);
  assert.deepEqual(matching(names, "fish lion"), ["lion fish"]);
  assert.deepEqual(matching(names, "dog"), []);
  assert.deepEqual(matching(names, "", 2), ["sea lion", "lion"]);
});

test("a thousand classes are searched", () => {
  const many = Array.from({ length: 1000 }, (_, k) => `class ${k}`);
  assert.deepEqual(matching(many, "class 7").slice(0, 2), ["class 7", "class 70"]);
  assert.equal(matching(many, "class").length, 12);
});
