// A grid, or a list, of items to look at and to judge many at once. Click selects, shift-click selects up to there,
// Enter or a double click enlarges. A selection lasts over the pages of one filter, and may be all that the filter
// matches. Verdicts go out as the review card's do, so that none is lost while the server is away.

import { chooseClass } from "./classes.js";
import { act, address, dialog, isPicture, isSmall, make, table, text, verdictName } from "./dom.js";
import { Outbox } from "./outbox.js";

const grids = new WeakMap();
const VERDICTS = [["given is right", "given"], ["other candidate is right", "suggested"], ["both", "both"], ["neither", "neither"],
  ["unsure", "unsure"], ["bad item", "bad_item"]];

function face(item, width) {
  if (!isPicture(item.src)) return make("p", { class: "snippet", dir: "auto", text: item.text || "(empty)" });
  const image = make("img", { src: width ? item.src.replace(/w=\d+/, `w=${width}`) : item.src, alt: `labelled ${item.given}`, loading: "lazy", draggable: "false" });
  const sharp = () => image.classList.toggle("pixels", isSmall(image));
  image.addEventListener("load", sharp);
  if (image.complete) sharp();
  image.addEventListener("error", () => image.replaceWith(make("p", { class: "snippet", text: "cannot be shown" })));
  return image;
}

const note = (item) => [item.own ? `you: ${verdictName(item.own.verdict, item)}` : "", item.note].filter(Boolean).join("\n") || " ";

function tile(item, grid) {
  const labels = make("span", { class: "labels" }, make("strong", { dir: "auto", text: item.given }),
    item.suggested ? make("span", { class: "candidate", dir: "auto", text: `→ ${item.suggested}` }) : null);
  const node = make(grid.selectable ? "button" : "div", { class: "tile", type: grid.selectable ? "button" : null, title: item.id,
    "aria-pressed": grid.selectable ? "false" : null }, face(item), labels, make("small", { text: note(item) }), grid.data.list ? make("code", { dir: "auto", text: item.id }) : null);
  if (!grid.selectable) return node;
  node.addEventListener("click", (event) => grid.pick(item.id, event.shiftKey));
  node.addEventListener("dblclick", () => grid.enlarge(item.id));
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // else it selects, as Space does
    grid.enlarge(item.id);
  });
  return node;
}

class Grid {
  constructor(host) {
    this.host = host;
    this.selected = new Map(); // id to item, of this page and of others
    this.history = []; // for undo: the verdicts of one click each
    this.given = new Map(); // verdicts of this page that the server may not have yet: {uuid, verdict} by item
    this.grid = make("div", { class: "grid" });
    this.root = make("div", { class: "gallery" }, this.grid); // dialogs lie beside the grid, and stay when it is drawn anew
    host.append(this.root);
    this.timer = setInterval(() => this.tick(), 500);
  }

  tick() {
    if (!this.root.isConnected) clearInterval(this.timer);
    else if (this.outbox?.again()) { this.late = true; this.status(); }
  }

  receive(data, send) {
    this.send = send;
    this.data = data;
    this.selectable = data.selectable;
    if (this.selectable && !this.outbox) this.outbox = new Outbox(data.mirror, (name, value) => this.send(name, value), window.localStorage);
    if (this.outbox) {
      this.outbox.answered(data.acked, data.conflicts);
      const waiting = new Set(this.outbox.judged());
      for (const id of this.given.keys()) if (!waiting.has(id)) this.given.delete(id);
    }
    if (data.filter !== this.filter) { // another filter is another question
      this.selected.clear();
      this.wantsAll = false;
    }
    this.filter = data.filter;
    const shown = JSON.stringify([data.list, data.tile, data.items]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.ids = data.items.map((item) => item.id);
      this.items = new Map(data.items.map((item) => [item.id, { ...item, own: this.given.get(item.id) ?? item.own }]));
      for (const [id, item] of this.items) if (this.selected.has(id)) this.selected.set(id, item);
      if (data.filter === undefined) for (const id of [...this.selected.keys()]) if (!this.items.has(id)) this.selected.delete(id);
      this.last = null;
      this.draw();
    }
    // When nothing waits for an answer the server knows what holds, also of what it refused.
    if (this.outbox && !this.outbox.waiting && !this.outbox.questions.length) for (const { id, own } of data.items) this.tell(id, own);
    if (data.all && this.wantsAll) this.takeAll(data.all);
    this.status();
    this.ask();
  }

  // Everything that the filter matches has come: [id, given, candidate, own verdict, its uuid] each.
  takeAll(rows) {
    this.wantsAll = false;
    for (const [id, given, suggested, verdict, uuid] of rows) {
      const own = this.given.get(id) ?? (uuid ? { uuid, verdict } : null);
      this.selected.set(id, this.items.get(id) ?? { id, given, suggested, own });
    }
    for (const id of this.ids) this.tiles.get(id).setAttribute("aria-pressed", String(this.selected.has(id)));
    this.send("all", null);
  }

  draw() {
    const focused = this.root.getRootNode().activeElement?.title;
    const pictures = this.data.items.some((item) => isPicture(item.src));
    this.grid.className = `grid${this.data.list ? ` list ${pictures ? "pictures" : "words"}` : ""}`;
    if (this.data.tile) this.grid.style.setProperty("--tile", `${this.data.tile}px`);
    this.tiles = new Map([...this.items.values()].map((item) => [item.id, tile(item, this)]));
    for (const [id, node] of this.tiles) if (this.selected.has(id)) node.setAttribute("aria-pressed", "true");
    this.grid.replaceChildren(...this.tiles.values());
    if (!this.bar && this.selectable) this.root.prepend(this.bar = this.actions());
    if (focused) this.tiles.get(focused)?.focus({ preventScroll: true });
  }

  actions() {
    this.buttons = VERDICTS.map(([label, verdict]) => act(label, () => this.judge(verdict)));
    this.otherButton = act("another class", () => chooseClass(this.root, "Which class is right?", this.data.classes, this.data.new_classes, (name, fresh) => this.judge(`${fresh ? "new" : "other"}:${name}`)));
    this.undoButton = act("take back", () => this.undo());
    this.allButton = act("select page", () => this.pickAll());
    this.everyButton = act("", () => this.askAll());
    this.noneButton = act("select none", () => { this.pickNone(); this.status(); });
    this.openButton = act("enlarge", () => this.enlarge([...this.selected.keys()].findLast((id) => this.items.has(id)) ?? this.ids[0]));
    this.count = make("strong", { class: "count" });
    this.line = make("span", { class: "line", role: "status", "aria-live": "polite" });
    return make("div", { class: "bar", role: "toolbar", "aria-label": "verdicts for the selection" }, this.count, ...this.buttons, this.data.classes ? this.otherButton : null,
      this.undoButton, make("span", { class: "gap" }), this.allButton, this.everyButton, this.noneButton, this.openButton, this.line);
  }

  status() {
    if (!this.bar) return;
    const chosen = [...this.selected.values()];
    const here = this.ids.filter((id) => this.selected.has(id)).length;
    this.count.textContent = `${chosen.length.toLocaleString("en")} selected${here < chosen.length ? `, ${here} on this page` : ""}`;
    this.otherButton.disabled = !chosen.length;
    for (const [k, [, verdict]] of VERDICTS.entries()) {
      this.buttons[k].disabled = !chosen.length || (["suggested", "both"].includes(verdict) && chosen.some((item) => !item.suggested));
    }
    const { total = this.ids.length, most = total } = this.data;
    this.allButton.disabled = !this.ids.length || here === this.ids.length;
    this.noneButton.disabled = !chosen.length;
    this.everyButton.hidden = total <= this.ids.length;
    this.everyButton.disabled = Boolean(this.wantsAll);
    this.everyButton.textContent = total > most ? `select the first ${most.toLocaleString("en")} of ${total.toLocaleString("en")}` : `select all ${total.toLocaleString("en")}`;
    const last = this.history.at(-1)?.length ?? 0;
    this.undoButton.textContent = last ? `take back ${last} verdict${last > 1 ? "s" : ""}` : "take back";
    this.undoButton.disabled = !last;
    const waiting = this.outbox.waiting;
    const sent = waiting ? `, ${waiting.toLocaleString("en")} on the way` : "";
    const bad = this.data.problem ?? (this.late && waiting ? "no answer from the server" : null);
    if (!waiting) this.late = false;
    const refused = this.data.refused.at(-1);
    this.line.classList.toggle("bad", Boolean(bad && waiting));
    this.line.textContent = `saved ${this.data.saved}${sent}${bad && waiting ? ` (kept in this browser: ${bad})` : ""}`
      + (refused ? ` · not stored: ${refused[1]}` : "");
  }

  // --- selecting ------------------------------------------------------------------------------------------------

  pick(id, range) {
    const on = !this.selected.has(id);
    const here = this.ids.indexOf(id);
    if (here < 0) return; // it has left the page meanwhile
    const from = range && this.last !== null ? this.last : here;
    for (let k = Math.min(from, here); k <= Math.max(from, here); k++) this.set(this.ids[k], on);
    this.last = here;
    this.status();
  }

  pickAll() {
    for (const id of this.ids) this.set(id, true);
    this.status();
  }

  askAll() {
    this.wantsAll = true;
    this.send("all", this.filter);
    this.status();
  }

  set(id, on) {
    if (on) this.selected.set(id, this.items.get(id));
    else this.selected.delete(id);
    this.tiles.get(id)?.setAttribute("aria-pressed", String(on));
  }

  // --- verdicts -------------------------------------------------------------------------------------------------

  // More than what is in sight is asked about first.
  judge(verdict) {
    const chosen = [...this.selected.values()];
    if (!chosen.length) return;
    const unseen = chosen.filter((item) => !this.items.has(item.id)).length;
    if (!unseen) { this.store(chosen, verdict); return; }
    const [name] = VERDICTS.find(([, kind]) => kind === verdict) ?? [verdictName(verdict, {})];
    const labels = new Map();
    for (const item of chosen) labels.set(item.given, (labels.get(item.given) ?? 0) + 1);
    const often = [...labels].sort((a, b) => b[1] - a[1]);
    const lines = often.slice(0, 8).map(([label, n]) => make("li", { dir: "auto", text: `${n.toLocaleString("en")} labelled ${label}` }));
    const node = dialog(this.root, "many verdicts", null, make("h2", { text: `“${name}” for ${chosen.length.toLocaleString("en")} items?` }),
      make("p", { text: `${unseen.toLocaleString("en")} of them are not on this page.` }), make("ul", {}, ...lines, often.length > 8 ? make("li", { text: `and ${often.length - 8} more labels` }) : null),
      make("div", { class: "bar" }, act(`give ${chosen.length.toLocaleString("en")} verdicts`, () => { node.close(); this.store(chosen, verdict); }),
        act("cancel", () => node.close(), { autofocus: "" })));
  }

  store(chosen, verdict) {
    const events = chosen.map((item) => this.outbox.verdict(item, verdict, null));
    this.history.push(events.map((event, k) => ({ uuid: event.uuid, id: chosen[k].id, before: chosen[k].own })));
    for (const [k, item] of chosen.entries()) this.own(item.id, { uuid: events[k].uuid, verdict });
    this.pickNone();
    this.outbox.add(...events);
    this.status();
  }

  undo() {
    const last = this.history.pop();
    if (!last) return;
    for (const { id, before } of last) this.own(id, before);
    this.outbox.add(...last.map(({ uuid }) => this.outbox.retract(uuid)));
    this.status();
  }

  own(id, verdict) {
    if (verdict) this.given.set(id, verdict);
    else this.given.delete(id);
    this.tell(id, verdict);
  }

  // Says on the tile which verdict of one's own holds.
  tell(id, verdict) {
    const item = this.items.get(id);
    if (this.selected.has(id)) this.selected.get(id).own = verdict;
    if (!item) return; // of another page
    item.own = verdict;
    this.tiles.get(id).querySelector("small").textContent = note(item);
  }

  pickNone() {
    for (const id of [...this.selected.keys()]) this.set(id, false);
  }

  // Other verdicts of the same person hold, given elsewhere meanwhile: one question for all of them.
  ask() {
    const questions = this.outbox?.questions ?? [];
    if (!questions.length || this.root.querySelector("dialog[open]")) return;
    const lost = new Set(questions.map(({ event }) => event.uuid));
    this.history = this.history.map((entries) => entries.filter(({ uuid }) => !lost.has(uuid))).filter((entries) => entries.length);
    const decide = (replace) => {
      for (const { event, uuid, verdict } of [...questions]) {
        this.outbox.decide(replace);
        if (!replace) this.tell(event.item_id, { uuid, verdict });
      }
      this.status();
      this.root.querySelector("dialog[open]")?.close();
    };
    const lines = questions.slice(0, 12).map(({ event, verdict }) => {
      const item = { given: event.shown_label, suggested: event.shown_suggested };
      return make("li", { text: `${event.item_id}: “${verdictName(verdict, item)}” holds, now “${verdictName(event.verdict, item)}”` });
    });
    dialog(this.root, "two verdicts", () => this.ask(), make("h2", { text: `You have judged ${questions.length} of these before` }), make("ul", {}, ...lines),
      make("div", { class: "bar" }, act("take the new ones", () => decide(true), { autofocus: "" }), act("keep the earlier ones", () => decide(false))));
  }

  // --- one item, large ------------------------------------------------------------------------------------------

  async enlarge(id) {
    if (this.root.querySelector("dialog[open]")) return;
    const node = dialog(this.root, "item", () => this.tiles.get(node.dataset.item)?.focus());
    const show = async (wanted) => {
      const n = this.ids.length, at = (wanted + n) % n; // the next after the last is the first
      const item = this.items.get(this.ids[at]);
      if (!item) { node.close(); return; } // the page was emptied meanwhile
      node.dataset.item = item.id;
      const mark = act("selected", () => {
        this.pick(item.id, false);
        mark.setAttribute("aria-pressed", String(this.selected.has(item.id)));
      }, { "aria-pressed": String(this.selected.has(item.id)) }, "Space");
      const content = make("div", { class: "large" }, isPicture(item.src) ? face(item, 768) : make("p", { text: "…" }));
      node.replaceChildren(make("h2", { dir: "auto", text: item.given }), item.suggested ? make("p", { class: "candidate", dir: "auto", text: `other candidate: ${item.suggested}` }) : "", content,
        make("p", { class: "line", text: note(item) }), make("code", { text: item.id }),
        make("div", { class: "bar" }, act("previous", () => show(at - 1), {}, "←"), act("next", () => show(at + 1), {}, "→"), mark,
          make("a", { class: "act", href: address("review", { item: item.id }), target: "_blank", text: "open on the card" }),
          act("close", () => node.close(), { autofocus: "" }, "Esc")));
      node.onkeydown = (event) => {
        if (event.key === "ArrowLeft" || event.key === "ArrowRight") { event.preventDefault(); show(at + (event.key === "ArrowLeft" ? -1 : 1)); }
        if (event.key === " " && !event.target.closest("button, a, .text")) { event.preventDefault(); mark.click(); }
        event.stopPropagation();
      };
      if (isPicture(item.src)) return;
      let whole;
      try { whole = await (await fetch(`/auditor/item?item=${encodeURIComponent(item.id)}`)).json(); } catch { whole = { error: "the server does not answer" }; }
      if (node.dataset.item !== item.id) return;
      content.replaceChildren(whole.text !== undefined ? text(whole.text, whole.marks) : whole.row ? table(whole.row) : make("p", { text: whole.error ?? item.text ?? "" }));
    };
    await show(this.ids.indexOf(id));
  }
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let grid = grids.get(parentElement);
  if (!grid || !grid.root.isConnected) {
    grid = new Grid(parentElement);
    grids.set(parentElement, grid);
  }
  grid.receive(data, setStateValue);
}
