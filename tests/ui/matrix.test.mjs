// The matrix of given labels and other candidates: which cells there are, and where the arrow keys lead.

import assert from "node:assert/strict";
import { test } from "node:test";

import { cells, moved, words } from "../../auditor/ui/browser/matrix.js";

const data = { names: ["cat", "dog"], rows: [{ count: 7, judged: 1 }, { count: 4, judged: 4 }], columns: [{ count: 5, judged: 4 }, { count: 6, judged: 0 }],
  pairs: [[0, 1, 6, 0], [1, 0, 4, 4]] };

test("cells are the pairs that have items, beside the totals of the classes", () => {
  const [head, cat, dog] = cells(data);
  assert.deepEqual(head.map((cell) => cell && words(cell)), [null, "cat 5 flagged with this candidate, 4 judged", "dog 6 flagged with this candidate"]);
  assert.deepEqual(cat.map((cell) => cell && words(cell)), ["cat 7 flagged with this label, 1 judged", null, "cat → dog: 6 flagged"]);
  assert.deepEqual(dog.map((cell) => cell?.count), [4, 4, undefined]);
});

test("arrow keys stay inside the table, other keys lead nowhere", () => {
  assert.deepEqual(moved([1, 1], "ArrowUp", 3, 3), [0, 1]);
  assert.deepEqual(moved([0, 1], "ArrowUp", 3, 3), [0, 1]);
  assert.deepEqual(moved([1, 1], "End", 3, 3), [1, 2]);
  assert.deepEqual(moved([1, 1], "PageDown", 3, 3), [2, 1]);
  assert.deepEqual(moved([2, 2], "ArrowRight", 3, 3), [2, 2]);
  assert.equal(moved([1, 1], "g", 3, 3), null);
});
