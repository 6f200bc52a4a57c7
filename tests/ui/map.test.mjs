// Points are found under the pointer and in a lasso; colours can be told from the page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { categories, contrast, meanings, quiet, ramp } from "../../auditor/ui/browser/colours.js";
import { byLayer, unpack } from "../../auditor/ui/browser/map.js";
import { Buckets, inside, SIDE, View } from "../../auditor/ui/browser/plane.js";

const WHITE = [255, 255, 255], BLACK = [14, 17, 23]; // the pages of Streamlit's themes

// Fixed numbers in 0..1, two a point.
const places = (n) => Uint16Array.from({ length: 2 * n }, (_, k) => Math.floor((((k + 1) * 2654435761) % 2 ** 32) / 2 ** 32 * SIDE));

test("the point under the pointer is the nearest one of all", () => {
  const points = places(3000), buckets = new Buckets(points, 64);
  const slow = (x, y, radius, counts = () => true) => {
    let best = -1, least = radius ** 2;
    for (let k = 0; k < 3000; k++) {
      const square = (points[2 * k] / SIDE - x) ** 2 + (points[2 * k + 1] / SIDE - y) ** 2;
      if (counts(k) && (square < least || (square === least && k > best))) { best = k; least = square; }
    }
    return best;
  };
  const probes = places(200);
  for (let k = 0; k < 200; k++) {
    const [x, y] = [probes[2 * k] / SIDE, probes[2 * k + 1] / SIDE];
    for (const radius of [0.001, 0.02, 0.4]) {
      assert.equal(buckets.nearest(x, y, radius), slow(x, y, radius));
      assert.equal(buckets.nearest(x, y, radius, (p) => p % 3 === 0), slow(x, y, radius, (p) => p % 3 === 0));
    }
  }
  assert.equal(new Buckets(Uint16Array.from([0, 0, SIDE, SIDE, SIDE, SIDE])).nearest(1, 1, 0.01), 2); // the one above
  assert.equal(new Buckets(new Uint16Array(0)).nearest(0.5, 0.5, 1), -1);
});

test("a lasso holds what is inside it, also where it is dented or crosses itself", () => {
  const square = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]];
  const dented = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.5], [0.9, 0.9], [0.1, 0.9]];
  const bow = [[0, 0], [1, 1], [1, 0], [0, 1]];
  assert.deepEqual([[0.5, 0.5], [0.1, 0.5], [0.79, 0.21]].map(([x, y]) => inside(square, x, y)), [true, false, true]);
  assert.deepEqual([[0.3, 0.5], [0.8, 0.5], [0.85, 0.12]].map(([x, y]) => inside(dented, x, y)), [true, false, true]);
  assert.deepEqual([[0.9, 0.5], [0.5, 0.9], [0.1, 0.5]].map(([x, y]) => inside(bow, x, y)), [true, false, true]);
  const points = places(2000), buckets = new Buckets(points);
  for (const polygon of [square, dented, bow]) {
    const wanted = [...Array(2000).keys()].filter((k) => inside(polygon, points[2 * k] / SIDE, points[2 * k + 1] / SIDE));
    assert.ok(wanted.length > 100);
    assert.deepEqual([...buckets.inside(polygon)], wanted);
    assert.deepEqual([...buckets.inside(polygon, (k) => k > 1000)], wanted.filter((k) => k > 1000));
  }
  for (const line of [[], [[0, 0]], [[0, 0], [1, 1]]]) assert.equal(buckets.inside(line).length, 0);
});

test("a picture that is moved shows each point where a new one would", () => {
  const view = new View();
  view.resize(800, 600);
  view.fit();
  const drawn = view.place(), at = ([x, y]) => view.toScreen(x, y);
  const points = [[0.5, 0.5], [0.1, 0.9], [0.8, 0.3]], before = points.map(at);
  assert.equal(view.since(drawn), "translate(0px, 0px) scale(1)");
  for (const [factor, sx, sy, dx, dy] of [[1, 400, 300, 37, -20], [2.5, 100, 500, 0, 0], [0.6, 700, 20, -90, 14]]) {
    view.zoom(factor, sx, sy);
    view.pan(dx, dy);
    const [tx, ty, scale] = view.since(drawn).match(/-?[\d.]+(e-\d+)?/g).map(Number);
    for (const [k, [x, y]] of before.entries()) {
      const [nowX, nowY] = at(points[k]);
      assert.ok(Math.abs((x - 400) * scale + 400 + tx - nowX) < 1e-6 && Math.abs((y - 300) * scale + 300 + ty - nowY) < 1e-6);
    }
  }
});

test("what the pointer is on stays there when one looks nearer", () => {
  const view = new View();
  view.resize(800, 600);
  view.fit();
  const close = (a, b) => a.forEach((v, k) => assert.ok(Math.abs(v - b[k]) < 1e-9));
  for (const [sx, sy, factor] of [[100, 500, 3], [400, 300, 0.7], [799, 1, 20]]) {
    const before = view.toPlane(sx, sy);
    view.zoom(factor, sx, sy);
    close(view.toPlane(sx, sy), before);
    close(view.toScreen(...before), [sx, sy]);
  }
  const corner = view.frame()[0];
  close(view.toScreen(...corner), [0, 0]);
  view.pan(10, 20); // as the content follows a finger
  close(view.toScreen(...corner), [10, 20]);
  for (let k = 0; k < 100; k++) view.zoom(1e3);
  assert.ok(Number.isFinite(view.pixels));
  view.fit();
  assert.ok(view.toScreen(0, 0)[1] < 600 && view.toScreen(1, 1)[1] > 0); // all of the plane
});

test("every colour can be told from the page in both themes", () => {
  for (const [dark, page] of [[false, WHITE], [true, BLACK]]) {
    for (const table of [categories(2, dark), categories(10, dark), categories(400, dark), ramp(dark), meanings(dark), [quiet(dark)]]) {
      for (const colour of table) assert.ok(contrast(colour, page) >= 3, `${colour} on ${page}: ${contrast(colour, page)}`);
    }
    for (const n of [2, 6, 10]) {
      const colours = categories(n, dark);
      for (let a = 0; a < n; a++) for (let b = 0; b < a; b++) assert.ok(Math.hypot(...colours[a].map((v, k) => v - colours[b][k])) > 30, `${n}: ${a} and ${b}`);
    }
    const loud = ramp(dark).map((colour) => contrast(colour, page));
    assert.ok(loud[255] > loud[0] + 2); // the suspicious ones stand out, also without colours
  }
  assert.equal(Math.round(contrast(WHITE, [0, 0, 0])), 21);
});

test("loud points are drawn above quiet ones, and else as they come", () => {
  assert.deepEqual([...byLayer(Uint16Array.from([5, 0, 555, 0, 5]))], [1, 3, 0, 4, 2]);
});

test("the server's message is read as it was written", () => {
  const text = new TextEncoder().encode(JSON.stringify({ classes: ["é"], arrays: { a: ["u2", 0, 2], b: ["u1", 4, 3] } }).padEnd(59)); // é takes two bytes
  const buffer = new ArrayBuffer(72);
  new DataView(buffer).setUint32(0, text.length, true);
  new Uint8Array(buffer).set(text, 4);
  new Uint8Array(buffer).set([1, 0, 2, 1, 7, 8, 9], 4 + text.length);
  const read = unpack(buffer);
  assert.deepEqual([read.classes, [...read.a], [...read.b]], [["é"], [1, 258], [7, 8, 9]]);
});
