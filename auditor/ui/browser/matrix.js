// Given label by other candidate: how many flagged items a pair of classes has. A cell chooses the pair, a name at the
// side all items with that label. One cell is in the tab order; the arrow keys go from cell to cell.

import { make } from "./dom.js";

const matrices = new WeakMap();

// Where a key leads from a place in a table of that many rows and columns; null for other keys.
export function moved([row, column], name, rows, columns) {
  const to = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
    Home: [row, 0], End: [row, columns - 1], PageUp: [0, column], PageDown: [rows - 1, column] }[name];
  return to ? [Math.min(Math.max(to[0], 0), rows - 1), Math.min(Math.max(to[1], 0), columns - 1)] : null;
}

// Rows of cells {given, suggested, count, judged}: the names of the candidates first, then a row for each given label.
// `suggested` or `given` is null for a whole row or column; places without an item have no cell.
export function cells({ names, rows, columns, pairs }) {
  const at = new Map(pairs.map(([given, suggested, count, judged]) => [`${given} ${suggested}`, { count, judged }]));
  const head = [null, ...names.map((name, k) => ({ given: null, suggested: name, ...columns[k] }))];
  return [head, ...names.map((given, g) => [{ given, suggested: null, ...rows[g] },
    ...names.map((suggested, s) => (at.has(`${g} ${s}`) ? { given, suggested, ...at.get(`${g} ${s}`) } : null))])];
}

// What is read of a cell; that of a total begins with what can be seen of it, so that it can be called by voice.
export const words = ({ given, suggested, count, judged }) => {
  const done = judged ? `, ${judged} judged` : "";
  if (suggested === null) return `${given} ${count} flagged with this label${done}`;
  if (given === null) return `${suggested} ${count} flagged with this candidate${done}`;
  return `${given} → ${suggested}: ${count} flagged${done}`;
};

class Matrix {
  constructor(host) {
    this.root = make("div", { class: "matrix" });
    host.append(this.root);
    this.here = [1, 1];
  }

  receive(data, send) {
    this.send = send;
    const shown = JSON.stringify(data);
    if (shown === this.shown) return;
    this.shown = shown;
    this.data = data;
    this.draw();
  }

  draw() {
    const focused = Boolean(this.root.getRootNode().activeElement?.closest?.(".matrix"));
    const table = cells(this.data);
    const most = Math.max(1, ...this.data.pairs.map(([, , count]) => count));
    this.buttons = new Map();
    const rows = table.map((row, r) => make("tr", {}, ...row.map((cell, c) => this.cell(cell, r, c, most))));
    this.size = [table.length, table.length];
    this.root.replaceChildren(make("div", { class: "scroll" }, make("table", {},
      make("caption", { text: "Rows: given label. Columns: other candidate. Numbers: flagged items." }),
      make("thead", {}, rows[0]), make("tbody", {}, ...rows.slice(1)))));
    if (!this.buttons.has(String(this.here))) this.here = this.buttons.keys().next().value?.split(",").map(Number) ?? [1, 1];
    this.buttons.get(String(this.here))?.setAttribute("tabindex", "0");
    if (focused) this.buttons.get(String(this.here))?.focus();
  }

  cell(cell, row, column, most) {
    const side = row === 0 || column === 0;
    if (row === 0 && column === 0) return make("td", { class: "corner" });
    if (!cell || (!cell.count && !side)) return make("td", { class: row === column ? "same" : "" });
    const chosen = this.data.given === cell.given && this.data.suggested === cell.suggested;
    const button = make("button", { type: "button", tabindex: "-1", title: words(cell), "aria-label": words(cell), "aria-pressed": String(chosen),
      on: { click: () => this.choose(cell, [row, column]), keydown: (event) => this.key(event, [row, column]) } },
    side ? make("span", { class: "name", dir: "auto", text: cell.given ?? cell.suggested }) : null, side ? " " : null, make("span", { class: "count", text: cell.count.toLocaleString("en") }));
    button.style.setProperty("--share", `${Math.round(6 + 34 * cell.count / most)}%`);
    this.buttons.set(`${row},${column}`, button);
    const done = cell.count && cell.judged === cell.count ? " done" : "";
    return side ? make("th", { scope: row ? "row" : "col" }, button) : make("td", { class: `pair${done}` }, button);
  }

  choose(cell, place) {
    this.focusAt(place);
    this.send("pair", [cell.given, cell.suggested]);
  }

  // On to the next place in that direction that has a button.
  key(event, from) {
    let place = from;
    for (let next = moved(place, event.key, ...this.size); next; next = moved(place, event.key, ...this.size)) {
      event.preventDefault();
      if (String(next) === String(place)) return;
      place = next;
      if (this.buttons.has(String(place))) { this.focusAt(place); return; }
      if (["Home", "End", "PageUp", "PageDown"].includes(event.key)) return;
    }
  }

  focusAt(place) {
    this.buttons.get(String(this.here))?.setAttribute("tabindex", "-1");
    this.here = place;
    const button = this.buttons.get(String(place));
    button.setAttribute("tabindex", "0");
    button.focus();
  }
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let matrix = matrices.get(parentElement);
  if (!matrix || !matrix.root.isConnected) {
    matrix = new Matrix(parentElement);
    matrices.set(parentElement, matrix);
  }
  matrix.receive(data, setStateValue);
}
