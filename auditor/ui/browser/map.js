// The items of the run as points: what is near in the embedding is near here. The points come by a route of the server, in
// one message of numbers; the page is told which of them are selected.

import { categories, css, meanings, quiet, ramp } from "./colours.js";
import { act, address, isPicture, isSmall, key, make } from "./dom.js";
import { Fingers } from "./fingers.js";
import { painterOf } from "./painter.js";
import { Buckets, SIDE, View } from "./plane.js";

const maps = new WeakMap();
const ROUTE = "/auditor/map/";
const AGAIN_MS = 1500; // until the server is asked again whether a layout is ready
const REACH = 12; // pixels around the pointer in which a point is found
const STEP = 60; // pixels that an arrow key moves the map
const COLOURS = [["given", "given label"], ["suggested", "other candidate"], ["suspicion", "suspicion"], ["verdict", "verdict"]];
const SLOW_MS = 24; // a picture that takes longer (no graphics card, very many points) is moved, and drawn anew now and then
const REDRAW_MS = 300; // between two drawings while it is moved
const REST_MS = 100; // without a move, until the last one
const DIMMED = 34; // of 255: points that the legend or a selection leaves out

// The message of the server: the length of a JSON header, the header, then its arrays, with their offsets behind the header.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const kinds = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };
  for (const [name, [kind, offset, count]] of Object.entries(header.arrays)) header[name] = new kinds[kind](buffer, 4 + length + offset, count);
  return header;
}

const number = (n) => n.toLocaleString("en");

class ItemMap {
  constructor(host) {
    this.view = new View();
    this.fingers = new Fingers();
    this.tips = new Map();
    this.colour = "given";
    this.chosen = null; // number of the legend's entry that alone is shown in full
    this.selected = null; // 1 for each selected point
    this.hovered = this.pinned = -1;
    this.turn = 0; // rises with every selection
    this.build();
    host.append(this.root);
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(this.stage);
    this.load();
  }

  build() {
    this.canvas = make("canvas", { tabindex: "0", role: "application", "aria-label": "map of the items", "aria-describedby": "map-keys" });
    this.ring = make("div", { class: "ring", hidden: "" });
    this.rope = make("canvas", { class: "rope", "aria-hidden": "true" });
    this.tip = make("div", { class: "tip", hidden: "" });
    this.note = make("p", { class: "note", role: "status", text: "The map is being opened…" });
    this.stage = make("div", { class: "stage" }, this.canvas, this.rope, this.ring, this.tip, this.note);
    this.byColour = COLOURS.map(([name, label]) => act(label, () => this.paintBy(name)));
    this.byLayout = make("span", { class: "group" });
    this.lassoButton = act("lasso", () => this.lassoing(!this.isLasso), { "aria-pressed": "false", title: "or hold Shift and draw" });
    this.shownButton = act("select what is shown", () => this.selectShown());
    this.clearButton = act("clear", () => this.select(null));
    this.count = make("strong", { class: "count", role: "status", "aria-live": "polite" });
    this.tools = make("div", { class: "bar", role: "toolbar", "aria-label": "the map" },
      make("span", { class: "group", role: "group", "aria-label": "colour by" }, ...this.byColour), this.byLayout,
      make("span", { class: "group", role: "group", "aria-label": "zoom" }, act("+", () => this.zoom(1.6), { "aria-label": "nearer" }),
        act("−", () => this.zoom(1 / 1.6), { "aria-label": "farther" }), act("all", () => this.fit())),
      this.lassoButton, this.shownButton, this.clearButton, this.count);
    this.legend = make("div", { class: "legend", role: "group", "aria-label": "legend" });
    this.detail = make("section", { class: "detail", "aria-label": "the item", "aria-live": "polite" });
    this.keys = make("p", { class: "line", id: "map-keys" }, key("arrows"), " move, ", key("+"), " ", key("−"), " zoom, ", key("0"), " all, ",
      key("Enter"), " the item in the middle, ", key("s"), " select what is shown. Drag moves, the wheel and two fingers zoom, Shift and drag draws a lasso.");
    this.root = make("div", { class: "map" }, this.tools, make("div", { class: "sides" }, this.stage,
      make("div", { class: "aside" }, this.detail, this.legend)), this.keys);
    this.listen();
  }

  // --- what the server knows ------------------------------------------------------------------------------------

  async ask(path, options) {
    const answer = await fetch(ROUTE + path, options);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the server answers ${answer.status}`);
    return answer;
  }

  // Of two layouts that were asked for the later one is shown, whichever comes first.
  async load(layout = "") {
    const asked = this.loading = {};
    const isWanted = () => this.root.isConnected && this.loading === asked;
    const again = (wait) => setTimeout(() => isWanted() && this.load(layout), wait);
    try {
      const answer = await this.ask(`points?layout=${layout}`);
      const told = answer.status === 202 ? await answer.json() : unpack(await answer.arrayBuffer());
      if (!isWanted()) return;
      if (answer.status === 202) {
        this.tell(told);
        again(AGAIN_MS);
      } else this.show(told);
    } catch (error) {
      if (!isWanted()) return;
      this.say(`The map cannot be shown: ${error.message}.`);
      again(4 * AGAIN_MS);
    }
  }

  // Nothing can be shown yet.
  tell(state) {
    if (state.state === "failed") {
      this.note.replaceChildren(`The map could not be computed: ${state.detail} `, act("try again", () => this.ask("again", { method: "POST" }).catch((error) => this.say(error.message))));
    } else this.say("The map of these items is being computed, once for this run. You can review meanwhile.");
    this.note.hidden = false;
  }

  say(text) {
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.hidden = !text;
  }

  show(points) {
    const first = !this.points;
    this.points = points;
    this.n = points.places.length / 2;
    this.buckets = new Buckets(points.places);
    this.painter ??= painterOf(this.canvas);
    this.painter.places(points.places);
    this.canvas.setAttribute("aria-label", `map of ${number(this.n)} items`);
    const layouts = points.layouts.length > 1 ? points.layouts : [];
    this.byLayout.replaceChildren(...layouts.map((name) => act(name.toUpperCase(), () => this.load(name), { "aria-pressed": String(name === points.layout) })));
    this.say("");
    if (first) this.fit();
    this.paint();
    this.root.dataset.points = this.n; // tests and the benchmark wait for it
    this.root.dataset.layout = points.layout;
    this.root.dataset.painter = this.painter.name;
    this.follow();
    if (this.wanted) this.recall();
    this.readVerdicts();
  }

  // Another layout that comes later: shown at once while nobody has touched the map, else offered.
  async follow() {
    if (this.following) return;
    this.following = true;
    try {
      let state = await (await this.ask("state")).json();
      while (state.state === "making" && this.root.isConnected) {
        this.foot(`Laid out by ${state.space}; UMAP follows.`);
        await new Promise((done) => setTimeout(done, AGAIN_MS));
        state = await (await this.ask("state")).json();
      }
      this.foot([`Laid out by ${state.space}.`, state.hint, state.state === "failed" ? `UMAP failed: ${state.detail}.` : ""].filter(Boolean).join(" "));
      if (state.layouts.length !== this.points.layouts.length) await this.load(this.touched ? this.points.layout : "");
    } catch { /* the map is there; the server may come back */ }
    this.following = false;
  }

  foot(text) {
    this.basis ??= this.root.appendChild(make("p", { class: "line" }));
    if (this.basis.textContent !== text) this.basis.textContent = text;
  }

  async readVerdicts() {
    if (!this.points || !this.data) return;
    try {
      const answer = await this.ask(`verdicts?reviewer=${encodeURIComponent(this.data.reviewer)}`);
      this.verdicts = new Uint8Array(await answer.arrayBuffer());
      if (this.colour === "verdict") this.paint();
    } catch { /* they come with the next change */ }
  }

  receive(data, send) {
    this.send = send;
    const news = data.verdicts !== this.data?.verdicts;
    this.data = data;
    if (data.selection !== this.name) {
      this.wanted = data.selection;
      if (this.points) this.recall();
    }
    const dark = this.isDark();
    if (dark !== this.dark && this.points) this.paint();
    if (news) this.readVerdicts();
  }

  // --- colours --------------------------------------------------------------------------------------------------

  isDark() {
    const [r, g, b] = getComputedStyle(this.root).color.match(/[\d.]+/g).map(Number);
    return 0.3 * r + 0.59 * g + 0.11 * b > 127; // light text
  }

  // The entries of the legend, the entry of each point, and which entries are drawn last.
  entries() {
    const { classes, given, suggested, suspicion } = this.points;
    if (this.colour === "suspicion") return { names: null, of: suspicion, colours: ramp(this.dark), above: (a) => a };
    if (this.colour === "verdict") {
      return { names: this.points.verdicts, of: this.verdicts ?? new Uint8Array(this.n), colours: meanings(this.dark), above: (a) => a > 0 };
    }
    const colours = [...categories(classes.length, this.dark), quiet(this.dark)], above = (a) => a < classes.length;
    if (this.colour === "given") return { names: [...classes, "no label"], of: given, colours, above };
    return { names: [...classes, "no other candidate"], of: suggested, colours, above };
  }

  paintBy(colour) {
    this.colour = colour;
    this.chosen = null;
    this.paint();
  }

  paint() {
    this.dark = this.isDark();
    const entries = this.now = this.entries();
    const rgba = new Uint8Array(4 * this.n), layer = new Uint16Array(this.n);
    for (let k = 0; k < this.n; k++) {
      const full = this.stands(k), [r, g, b] = entries.colours[entries.of[k]];
      rgba[4 * k] = r;
      rgba[4 * k + 1] = g;
      rgba[4 * k + 2] = b;
      rgba[4 * k + 3] = full ? 235 : DIMMED;
      layer[k] = (full ? 300 : 0) + Number(entries.above(entries.of[k]));
    }
    this.painter.colours(rgba, byLayer(layer));
    this.drawn = null;
    for (const [k, [name]] of COLOURS.entries()) this.byColour[k].setAttribute("aria-pressed", String(name === this.colour));
    this.drawLegend();
    this.status();
    this.request();
  }

  // Whether a point is neither outside the selection nor left out by the legend.
  stands(k) { return (!this.selected || this.selected[k] === 1) && (this.chosen === null || this.now.of[k] === this.chosen); }

  drawLegend() {
    const { names, of, colours } = this.now;
    const focused = this.root.getRootNode().activeElement?.dataset?.entry;
    if (!names) {
      const stops = [0, 64, 128, 192, 255].map((k) => css(colours[k])).join(", ");
      this.legend.replaceChildren(make("div", { class: "ramp", style: `background: linear-gradient(to right, ${stops})`, "aria-hidden": "true" }),
        make("div", { class: "ends" }, make("span", { text: "label fits" }), make("span", { text: "suspicious" })));
      return;
    }
    const counts = new Uint32Array(names.length);
    for (const entry of of) counts[entry]++;
    const shown = [...names.keys()].filter((k) => counts[k]);
    this.legend.replaceChildren(...shown.map((k) => make("button", { type: "button", class: "entry", "data-entry": k, "aria-pressed": String(k === this.chosen),
      on: { click: () => { this.chosen = this.chosen === k ? null : k; this.touched = true; this.paint(); } } },
    make("span", { class: "swatch", style: `background: ${css(colours[k])}`, "aria-hidden": "true" }), make("span", { class: "name", dir: "auto", text: names[k] }),
    make("span", { class: "many", text: number(counts[k]) }))));
    if (focused) this.legend.querySelector(`[data-entry="${focused}"]`)?.focus();
  }

  // --- drawing --------------------------------------------------------------------------------------------------

  resize() {
    const { width, height } = this.stage.getBoundingClientRect();
    if (!width || !height) return;
    this.ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.rope]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    this.drawn = null;
    this.view.resize(width, height);
    if (this.points && !this.touched) this.view.fit();
    this.request();
  }

  request() {
    if (this.asked || !this.points) return;
    this.asked = requestAnimationFrame((now) => {
      this.asked = null;
      clearTimeout(this.resting);
      if (this.cost > SLOW_MS && this.drawn && now - this.drawnAt < REDRAW_MS) {
        // As a finger moves it: the picture that is there follows at once, and what it lacks at its edge comes soon.
        this.canvas.style.transform = this.view.since(this.drawn);
        this.resting = setTimeout(() => { this.drawn = null; this.request(); }, REST_MS);
      } else this.draw(now);
      this.placeRing();
    });
  }

  draw(now) {
    this.painter.draw(this.view, this.size(), this.ratio ?? 1);
    this.canvas.style.transform = "";
    this.drawn = this.view.place();
    this.drawnAt = now;
    requestAnimationFrame((next) => { this.cost = next - now; });
  }

  // Pixels across a point: more where there are few, and nearer.
  size() {
    const few = Math.min(Math.max(900 / Math.sqrt(this.n), 2.5), 7);
    return Math.min(few * Math.max(this.view.pixels / this.view.least, 1) ** 0.35, 14);
  }

  placeRing() {
    const k = this.hovered >= 0 ? this.hovered : this.pinned;
    this.ring.hidden = k < 0;
    if (k < 0) return;
    const [x, y] = this.screenOf(k), size = this.size() + 8;
    Object.assign(this.ring.style, { left: `${x - size / 2}px`, top: `${y - size / 2}px`, width: `${size}px`, height: `${size}px` });
  }

  screenOf(k) { return this.view.toScreen(this.points.places[2 * k] / SIDE, this.points.places[2 * k + 1] / SIDE); }

  zoom(factor, x, y) {
    this.touched = true;
    this.view.zoom(factor, x, y);
    this.request();
  }

  fit() {
    this.view.fit();
    this.request();
  }

  // --- pointer and keys -----------------------------------------------------------------------------------------

  lassoing(on) {
    this.isLasso = on;
    this.lassoButton.setAttribute("aria-pressed", String(on));
    this.stage.classList.toggle("lasso", on);
  }

  at(event) {
    const { stage } = this, box = stage.getBoundingClientRect(); // the canvas may be moved
    return [event.clientX - box.left - stage.clientLeft, event.clientY - box.top - stage.clientTop];
  }

  under([x, y], reach = REACH) {
    if (!this.points) return -1;
    return this.buckets.nearest(...this.view.toPlane(x, y), reach / this.view.pixels, (k) => this.stands(k));
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...this.at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.points || event.button > 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.start = this.at(event);
      this.fingers.down(event.pointerId, this.start);
      const first = this.fingers.count === 1;
      this.line = first && (this.isLasso || event.shiftKey) ? [this.start] : null;
      this.moved = !first; // two fingers pick nothing, neither when one of them is gone
      this.drawRope();
    });
    canvas.addEventListener("pointermove", (event) => {
      const here = this.at(event), step = this.fingers.move(event.pointerId, here);
      if (!step) {
        if (!this.fingers.count) this.hover(this.under(here), here);
        return;
      }
      if (Math.hypot(here[0] - this.start[0], here[1] - this.start[1]) > 4) this.moved = true;
      if (this.line) {
        this.line.push(here);
        this.drawRope();
      } else if (this.moved) {
        this.touched = true;
        this.view.zoom(step.factor, step.x, step.y);
        this.view.pan(step.dx, step.dy);
        this.hover(-1);
        this.request();
      }
    });
    const end = (event) => {
      if (!this.fingers.up(event.pointerId) || this.fingers.count) return;
      const { line } = this;
      this.line = null;
      this.drawRope();
      if (event.type !== "pointerup") return;
      if (!this.moved) this.pin(this.under(this.at(event)));
      else if (line) this.select(this.buckets.inside(line.map(([x, y]) => this.view.toPlane(x, y)), (k) => this.chosen === null || this.now.of[k] === this.chosen));
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => this.hover(-1));
    canvas.addEventListener("blur", () => this.hover(-1));
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("webglcontextlost", () => this.say("The graphics card was lost: load the page again."));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.points) return;
    const moves = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    const middle = [this.view.width / 2, this.view.height / 2];
    if (moves[event.key]) { this.touched = true; this.view.pan(...moves[event.key]); }
    else if (event.key === "+" || event.key === "=") this.zoom(1.6);
    else if (event.key === "-") this.zoom(1 / 1.6);
    else if (event.key === "0") this.fit();
    else if (event.key === "s" || event.code === "KeyS") { this.selectShown(); return; }
    else if (event.key === "Enter") { this.pin(this.under(middle, this.view.width)); event.preventDefault(); return; }
    else if (event.key === "Escape") { this.select(null); return; }
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.hover(this.under(middle, this.view.width), middle);
    this.request();
  }

  drawRope() {
    const pen = this.rope.getContext("2d");
    pen.clearRect(0, 0, this.rope.width, this.rope.height);
    if (!this.line) return;
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.beginPath();
    for (const [x, y] of this.line) pen.lineTo(x, y);
    pen.closePath();
    pen.fillStyle = "rgb(128 128 128 / .18)";
    pen.fill();
    pen.strokeStyle = getComputedStyle(this.root).color;
    pen.lineWidth = 1.5;
    pen.stroke();
    pen.setTransform(1, 0, 0, 1, 0, 0);
  }

  // --- one item -------------------------------------------------------------------------------------------------

  async facts(k) {
    if (!this.tips.has(k)) this.tips.set(k, this.ask(`item?at=${k}`).then((answer) => answer.json()));
    if (this.tips.size > 500) this.tips.delete(this.tips.keys().next().value);
    try { return await this.tips.get(k); } catch { this.tips.delete(k); return null; }
  }

  hover(k, at) {
    if (this.hovered === k) return;
    this.hovered = k;
    this.request();
    this.tip.hidden = true;
    clearTimeout(this.hovering);
    if (k < 0) return;
    // Only where the pointer rests: a sweep over the map asks for nothing.
    this.hovering = setTimeout(async () => {
      const item = await this.facts(k);
      if (!item || this.hovered !== k) return;
      this.tip.replaceChildren(...this.card(item));
      this.tip.hidden = false;
      const [x, y] = this.screenOf(k), { width, height } = this.tip.getBoundingClientRect();
      Object.assign(this.tip.style, { left: `${Math.max(0, x + 16 + width > this.view.width ? x - 16 - width : x + 16)}px`,
        top: `${Math.min(Math.max(0, y - height / 2), Math.max(0, this.view.height - height))}px` });
      this.canvas.setAttribute("aria-label", `map of ${number(this.n)} items; ${item.id}, labelled ${item.given}`);
    }, at && this.canvas.matches(":focus-visible") ? 0 : 60);
  }

  card(item) {
    const image = isPicture(item.src) ? make("img", { src: item.src, alt: `labelled ${item.given}`, draggable: "false" }) : make("p", { class: "snippet", dir: "auto", text: item.text || "(empty)" });
    if (image.tagName === "IMG") image.addEventListener("load", () => image.classList.toggle("pixels", isSmall(image)));
    return [image, make("strong", { dir: "auto", text: item.given }), item.suggested ? make("span", { dir: "auto", text: `→ ${item.suggested}` }) : ""];
  }

  async pin(k) {
    this.pinned = k;
    this.touched = true;
    this.request();
    if (k < 0) { this.detail.replaceChildren(); return; }
    const item = await this.facts(k);
    if (!item || this.pinned !== k) return;
    const open = make("a", { class: "act", href: address("review", { item: item.id }), target: "_blank", text: "open on the card" });
    this.detail.replaceChildren(...this.card(item), make("code", { text: item.id }),
      make("div", { class: "bar" }, open, act("items like this", () => this.like(k))));
    open.focus();
  }

  // --- selecting ------------------------------------------------------------------------------------------------

  selectShown() {
    if (this.points) this.select(this.buckets.inside(this.view.frame(), (k) => this.chosen === null || this.now.of[k] === this.chosen));
  }

  async like(k) { await this.named(this.ask(`like?at=${k}`, { method: "POST" }), false); }

  async select(points) {
    this.touched = true;
    if (points === null || !points.length) {
      this.turn++;
      this.name = "";
      this.mark(null);
      this.send("selection", "");
      return;
    }
    this.mark(points);
    await this.named(this.ask("selection", { method: "POST", body: points }), true);
  }

  // The server keeps a selection and gives it a name, by which the gallery and the queue find it. An answer that comes
  // after another selection was made is none.
  async named(asking, marked) {
    const turn = ++this.turn;
    try {
      const { selection } = await (await asking).json();
      if (turn !== this.turn) return;
      this.name = selection;
      this.send("selection", selection);
      if (!marked) await this.recall(selection);
    } catch (error) {
      this.status(`not selected: ${error.message}`);
    }
  }

  async recall(name = this.wanted) {
    const { turn } = this;
    this.wanted = null;
    this.name = name;
    if (!name) { this.mark(null); return; }
    try {
      const points = new Uint32Array(await (await this.ask(`selection/${name}`)).arrayBuffer());
      if (turn === this.turn) this.mark(points);
    } catch (error) {
      this.status(error.message);
    }
  }

  mark(points) {
    this.selected = points && new Uint8Array(this.n);
    for (const k of points ?? []) this.selected[k] = 1;
    this.chosen = points ? null : this.chosen;
    if (this.points) this.paint();
  }

  status(text) {
    let count = 0;
    for (const one of this.selected ?? []) count += one;
    this.count.textContent = text ?? (count ? `${number(count)} selected` : "");
    this.clearButton.disabled = !count;
  }
}

// Points by layer, ascending; within one as they came.
export function byLayer(layer) {
  const starts = new Uint32Array(65537), order = new Uint32Array(layer.length);
  for (const value of layer) starts[value + 1]++;
  for (let k = 0; k < 65536; k++) starts[k + 1] += starts[k];
  for (let k = 0; k < layer.length; k++) order[starts[layer[k]]++] = k;
  return order;
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let map = maps.get(parentElement);
  if (!map || !map.root.isConnected) {
    map = new ItemMap(parentElement);
    maps.set(parentElement, map);
  }
  map.receive(data, setStateValue);
}
