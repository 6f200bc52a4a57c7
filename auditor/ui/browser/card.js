// The review card. It holds its own queue: a key files its verdict and shows the next item at once, without the server.
// Verdicts stay in the outbox until the server says it has them.

import { dialog, isPicture, key, make, table, text, verdictName } from "./dom.js";
import { candidateKeys, meaning } from "./keys.js";
import { Outbox } from "./outbox.js";

const DECODED_AHEAD = 6; // pictures decoded before they are shown
const FETCHED_AT_ONCE = 3; // of the browser's six connections: the card on screen needs the others
const SAY_HERE_MS = 45000; // how often a reviewer who looks at an item is said to be there
const cards = new WeakMap();

class Card {
  constructor(parent) {
    this.parent = parent;
    this.queue = []; // items to judge
    this.at = 0; // the one on screen
    this.history = []; // for undo: {uuid, item}
    this.judged = new Set();
    this.pixelated = null; // null = by size
    this.pictures = new Map();
    this.fetching = 0;
    this.root = make("div", { class: "card", tabindex: "-1" });
    parent.append(this.root);
    this.onKey = (event) => this.pressed(event);
    this.onSign = () => { this.active = true; };
    this.onLeave = () => { if (this.data?.page) navigator.sendBeacon("/auditor/leave", this.data.page); };
    document.addEventListener("keydown", this.onKey, true);
    for (const sign of ["keydown", "pointermove", "pointerdown", "wheel"]) document.addEventListener(sign, this.onSign, { capture: true, passive: true });
    window.addEventListener("pagehide", this.onLeave);
    this.timer = setInterval(() => this.tick(), 500);
  }

  // --- messages -------------------------------------------------------------------------------------------------

  receive(data, send) {
    if (!this.data) {
      this.outbox = new Outbox(data.mirror, (name, value) => this.send(name, value), window.localStorage);
      this.outbox.left = () => this.queue.length;
      for (const id of this.outbox.judged()) this.judged.add(id);
      try { this.history = JSON.parse(sessionStorage.getItem(`auditor-undo:${data.mirror}`) ?? "[]"); } catch { /* as without storage */ }
    }
    this.send = send;
    this.data = data;
    this.keys = candidateKeys(data.classes);
    this.known = new Set([..."gbnuxzhpw/", ...this.keys.keys, ...(this.keys.byName ? data.classes : [])]);
    const asked = this.outbox.questions.length;
    this.outbox.answered(data.acked, data.conflicts);
    for (const { event } of this.outbox.questions.slice(asked)) this.history = this.history.filter((entry) => entry.uuid !== event.uuid);
    if (data.round !== this.round) this.take(data.batch);
    if (!this.drawn || this.drawn !== this.item?.id) this.draw();
    else this.status();
    this.prefetch();
    this.ask();
  }

  // A new hand: what is in it no more may be in another reviewer's by now. The item on screen stays.
  take(batch) {
    this.round = this.data.round;
    const held = new Set(batch.map((item) => item.id));
    const shown = this.item;
    this.queue = this.queue.filter((item) => item === shown || held.has(item.id));
    const known = new Set(this.queue.map((item) => item.id));
    const waiting = new Set(this.outbox.judged());
    // One that was judged comes back only where the server knows so and shows what holds.
    const wanted = (item) => !known.has(item.id) && (item.own ? !waiting.has(item.id) : !this.judged.has(item.id));
    this.queue.push(...batch.filter(wanted));
    this.at = Math.max(0, this.queue.indexOf(shown));
  }

  keep(event) {
    this.active = false;
    this.outbox.add(event);
    try { sessionStorage.setItem(`auditor-undo:${this.data.mirror}`, JSON.stringify(this.history.slice(-20))); } catch { /* full or forbidden */ }
    this.status();
  }

  tick() {
    if (!this.root.isConnected) {
      clearInterval(this.timer);
      document.removeEventListener("keydown", this.onKey, true);
      for (const sign of ["keydown", "pointermove", "pointerdown", "wheel"]) document.removeEventListener(sign, this.onSign, { capture: true });
      window.removeEventListener("pagehide", this.onLeave);
      return;
    }
    if (!this.outbox) return;
    if (this.outbox.again()) { this.late = true; this.status(); }
    else if (this.active && this.queue.length && !document.hidden && Date.now() - (this.hereAt ?? this.shownAt) > SAY_HERE_MS) {
      this.active = false;
      this.hereAt = Date.now();
      this.outbox.post();
    }
  }

  // --- verdicts -------------------------------------------------------------------------------------------------

  get item() { return this.queue[this.at]; }

  get modal() { return this.root.querySelector("dialog[open]"); }

  judge(verdict) {
    const item = this.item;
    if (!item || (["suggested", "both"].includes(verdict) && !item.suggested)) return;
    const event = this.outbox.verdict(item, verdict, Math.min(Date.now() - this.shownAt, 86400000));
    this.queue.splice(this.at, 1);
    if (this.at >= this.queue.length) this.at = 0;
    this.judged.add(item.id);
    this.history.push({ uuid: event.uuid, item });
    this.draw(); // first the next item, then everything else
    this.keep(event);
    this.say(`${verdictName(verdict, item)}. Next: ${this.item ? `labelled ${this.item.given}` : "nothing left"}`);
    this.prefetch();
  }

  choose(name) {
    const item = this.item;
    if (item) this.judge(name === item.given ? "given" : name === item.suggested ? "suggested" : `other:${name}`);
  }

  undo() {
    const last = this.history.pop();
    if (!last) { this.say("Nothing to undo"); return; }
    this.judged.delete(last.item.id);
    this.queue = this.queue.filter((item) => item.id !== last.item.id);
    this.queue.splice(this.at, 0, last.item);
    this.draw();
    this.keep(this.outbox.retract(last.uuid));
    this.say(`Taken back: labelled ${last.item.given}`);
  }

  move(step) {
    if (this.queue.length < 2) return;
    this.at = (this.at + step + this.queue.length) % this.queue.length;
    this.draw();
    this.prefetch();
  }

  // Another verdict of the same person holds, given in another tab or on another day: which of the two is asked.
  ask() {
    const question = this.outbox.questions[0];
    if (!question || this.modal) return;
    const { event, verdict } = question;
    const item = { given: event.shown_label, suggested: event.shown_suggested };
    const decide = (replace) => { this.outbox.decide(replace); this.status(); this.modal?.close(); };
    dialog(this.root, "two verdicts", () => { this.ask(); this.root.focus({ preventScroll: true }); },
      make("h2", { text: "You have judged this item before" }),
      make("p", {}, `Item ${event.item_id}: what holds is “${verdictName(verdict, item)}”, what you said now is “${verdictName(event.verdict, item)}”.`),
      make("div", { class: "actions" }, this.button(`take the new one: ${verdictName(event.verdict, item)}`, [], () => decide(true), { autofocus: "" }),
        this.button(`keep the earlier one: ${verdictName(verdict, item)}`, [], () => decide(false))));
  }

  pressed(event) {
    if (!this.root.isConnected || !this.data || event.ctrlKey || event.metaKey || event.altKey) return;
    const name = meaning(event, this.known);
    if (this.modal) { // what is behind it cannot be judged; Streamlit's own keys are held back as well
      if (name.length === 1) event.stopPropagation();
      if (name === "h" && this.modal.classList.contains("help")) this.modal.close();
      return;
    }
    const target = event.composedPath()[0];
    if (target instanceof Element) {
      if (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)) return;
      if (["Enter", " "].includes(event.key) && target.closest("button, a, summary, [role=button], [role=tab], [role=option]")) return;
    }
    const field = this.root.querySelector(".extra input");
    if (field) { this.typed(field, event); return; }
    const acts = {
      g: () => this.judge("given"), Enter: () => this.judge("given"), b: () => this.judge("both"), n: () => this.judge("neither"),
      u: () => this.judge("unsure"), x: () => this.judge("bad_item"), z: () => this.undo(), Backspace: () => this.undo(),
      ArrowRight: () => this.move(1), ArrowDown: () => this.move(1), ArrowLeft: () => this.move(-1), ArrowUp: () => this.move(-1),
      "/": () => this.search(), h: () => this.showHelp(), p: () => this.togglePixels(), w: () => this.explain(),
    };
    const act = this.chosen(name) ?? acts[name] ?? this.scrolled(name);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    // A key held down is not twenty verdicts.
    if (!event.repeat || name.startsWith("Arrow") || name.startsWith("Page")) act();
  }

  // While the search is open no key is a verdict, also where the focus was taken from it, as Streamlit does when its
  // server is away.
  typed(field, event) {
    if (event.key === "Enter" || event.key === "Escape") field.dispatchEvent(new KeyboardEvent("keydown", { key: event.key }));
    else if (event.key === "Backspace") field.value = field.value.slice(0, -1);
    else if (event.key.length === 1) field.value += event.key;
    else return;
    event.preventDefault();
    event.stopPropagation();
    field.dispatchEvent(new Event("input"));
    field.focus();
  }

  // Keys of the candidates, or of all classes where these are single digits.
  chosen(name) {
    const item = this.item;
    if (!item) return undefined;
    const candidate = this.keys.byName ? (this.data.classes.includes(name) ? name : undefined) : item.options[this.keys.keys.indexOf(name)];
    return candidate === undefined ? undefined : () => this.choose(candidate);
  }

  keysOf(name, k) {
    return this.keys.byName ? [name] : this.keys.keys.slice(k, k + 1);
  }

  // A text longer than its place is read with the keys that scroll a page.
  scrolled(name) {
    const box = this.root.querySelector(".text, .words table");
    const page = { PageDown: 0.85, " ": 0.85, PageUp: -0.85, Home: -Infinity, End: Infinity }[name];
    if (page === undefined || !box || box.scrollHeight <= box.clientHeight) return undefined;
    const to = Number.isFinite(page) ? box.scrollTop + page * box.clientHeight : page < 0 ? 0 : box.scrollHeight;
    return () => box.scrollTo({ top: to });
  }

  // --- drawing --------------------------------------------------------------------------------------------------

  button(label, keys, call, extra = {}) {
    const act = () => { call(); if (!this.modal) this.root.focus({ preventScroll: true }); };
    return make("button", { type: "button", on: { click: act }, ...extra }, make("span", { text: label }), ...keys.map(key));
  }

  picture(src, alt, big) {
    const node = make("img", { src: isPicture(src) ? src : null, alt, decoding: big ? "sync" : "async",
      fetchpriority: big ? "high" : "low", draggable: "false" });
    const sharp = () => {
      const small = Math.max(node.naturalWidth, node.naturalHeight) <= 128;
      node.classList.toggle("pixels", big ? this.pixelated ?? small : small);
      if (!big) return;
      this.sized = [node.naturalWidth, node.naturalHeight];
      // Few pixels are easier to read small and smooth than large and hard: both are shown.
      this.small?.replaceChildren(small ? make("img", { src: node.src, alt: "", width: 112 }) : "");
    };
    node.addEventListener("load", sharp);
    if (node.complete && node.naturalWidth) sharp();
    node.addEventListener("error", () => node.replaceWith(make("p", { class: "broken", text: "This picture cannot be shown." })));
    return node;
  }

  content(item) {
    if (item.error) return make("p", { class: "broken", text: item.error });
    if (item.src) return this.picture(item.src, `item labelled ${item.given}`, true);
    if (item.text !== undefined) return text(item.text, item.marks);
    if (item.row) return table(item.row);
    return make("p", { class: "broken", text: "This run holds probabilities only; there is no item to show." });
  }

  exemplarsOf(name) {
    // A class may be called "constructor".
    return Object.hasOwn(this.data.exemplars, name) ? this.data.exemplars[name] : [];
  }

  examples(name, item) {
    const own = this.exemplarsOf(name).filter((e) => e.hash !== item.hash).slice(0, this.data.n_exemplars);
    const face = (e) => (e.src ? this.picture(e.src, "", false) : make("p", { class: "snippet", dir: "auto", text: e.text || "(empty)" }));
    return make("div", { class: "examples", "aria-hidden": "true" }, ...own.map(face));
  }

  choice(name, keys, call, item, role) {
    // Not "the model suggests": where the model agrees with the given label, the candidate is its second thought.
    const title = { given: "given label", suggested: "other candidate" }[role];
    const act = () => { call(); this.root.focus({ preventScroll: true }); };
    return make("div", { class: `choice ${role}` },
      make("button", { type: "button", class: "verdict", on: { click: act } },
        make("span", { class: "keys" }, ...keys.map(key)), make("strong", { dir: "auto", text: name, title: name }), title && make("small", { text: title })),
      role !== "further" && this.examples(name, item));
  }

  draw() {
    const item = this.item;
    this.drawn = item?.id;
    this.shownAt = this.hereAt = Date.now();
    const view = document.createDocumentFragment();
    if (item) {
      const options = item.options.map((name, k) =>
        this.choice(name, this.keysOf(name, k), () => this.choose(name), item, k === 0 ? "suggested" : "further"));
      const votes = Object.entries(item.votes ?? {}).map(([who, verdict]) =>
        make("li", {}, make("b", { text: who }), ` ${verdictName(verdict, item)}`));
      const actions = [
        this.button("both", ["b"], () => this.judge("both"), { disabled: item.suggested ? null : "" }),
        this.button("neither", ["n"], () => this.judge("neither")), this.button("unsure", ["u"], () => this.judge("unsure")),
        this.button("bad item", ["x"], () => this.judge("bad_item")), this.button("other class", ["/"], () => this.search()),
        this.button("undo", ["z"], () => this.undo()), this.button("back", ["←"], () => this.move(-1)),
        this.button("later", ["→"], () => this.move(1)), this.button("why", ["w"], () => this.explain()),
        item.src && this.button("pixels", ["p"], () => this.togglePixels()), this.button("help", ["h"], () => this.showHelp()),
      ];
      const link = make("a", { class: "id", href: `review?item=${encodeURIComponent(item.id)}`, target: "_blank", title: "a link to this item" }, make("code", { text: item.id }));
      view.append(make("div", { class: "stage" },
        make("figure", { class: item.src ? "image" : "words" }, this.content(item),
          make("figcaption", {}, make("span", { text: "labelled" }), make("strong", { dir: "auto", text: item.given }), link),
          (this.small = make("div", { class: "small" }))),
        make("div", { class: "side" },
          item.own ? make("p", { class: "votes", text: `You have judged this item: ${verdictName(item.own.verdict, item)}. Another verdict replaces it.` }) : null,
          votes.length ? make("ul", { class: "votes" }, ...votes) : null,
          this.choice(item.given, this.keys.byName ? ["g", "⏎", item.given] : ["g", "⏎"], () => this.judge("given"), item, "given"),
          options[0], make("div", { class: "more" }, ...options.slice(1)), make("div", { class: "actions" }, ...actions),
          (this.extra = make("div", { class: "extra" })))));
    } else {
      view.append(make("div", { class: "empty" }, make("h2", { text: "Nothing is waiting for you" }),
        make("p", { text: "Every item that wants a verdict has one, or is in another reviewer's hand." }),
        this.button("look again", [], () => this.outbox.post()), this.button("undo", ["z"], () => this.undo())));
    }
    this.foot = make("footer", {}, (this.saved = make("span", { class: "saved" })), (this.live = make("span", { class: "live", role: "status", "aria-live": "polite" })));
    view.append(this.foot);
    this.root.replaceChildren(view);
    this.status();
  }

  status() {
    if (!this.saved) return;
    const waiting = this.outbox.waiting;
    const bad = this.data.problem ?? (this.late && waiting ? "no answer from the server" : null);
    if (!waiting) this.late = false;
    this.saved.className = `saved ${bad && waiting ? "bad" : waiting ? "busy" : "good"}`;
    const sent = waiting ? `, ${waiting} on the way` : "";
    this.saved.textContent = `saved ${this.data.saved}${sent}${bad && waiting ? ` (kept in this browser: ${bad})` : ""} · ${this.queue.length} in hand`;
    const refused = this.data.refused.at(-1);
    if (refused && refused[0] !== this.toldRefused) { this.toldRefused = refused[0]; this.say(`Not stored: ${refused[1]}`); }
  }

  say(words) {
    if (this.live) this.live.textContent = words;
  }

  // The whole hand is fetched, nearest first: a burst of keys or a dead server then finds its pictures here. A few
  // ahead were not enough on a loaded machine: keys came quicker than pictures, and each waited for the one before.
  prefetch() {
    if (document.readyState !== "complete") { // else the page counts as loading until the last of them is here
      window.addEventListener("load", () => this.prefetch(), { once: true });
      return;
    }
    const hand = this.queue.map((_, k) => this.queue[(this.at + k) % this.queue.length]);
    const near = hand.slice(1, DECODED_AHEAD).map((item) => item.src);
    const faces = (item) => [item.given, item.suggested].flatMap((name) => this.exemplarsOf(name).map((e) => e.src));
    this.wanted = [...new Set([...near, ...hand.flatMap((item) => [item.src, ...faces(item)])])].filter(isPicture);
    this.fetchNext();
    for (const src of near) this.decode(src);
  }

  fetchNext() {
    while (this.fetching < FETCHED_AT_ONCE) {
      const src = this.wanted.find((one) => !this.pictures.has(one));
      if (!src) return;
      const image = new Image();
      image.fetchPriority = "low";
      const done = () => { this.fetching--; this.fetchNext(); };
      for (const kind of ["load", "error"]) image.addEventListener(kind, done); // the card tells of errors
      image.src = src;
      this.fetching++;
      this.pictures.set(src, image);
      if (this.pictures.size > 400) this.pictures.delete(this.pictures.keys().next().value);
    }
  }

  decode(src) {
    const image = this.pictures.get(src);
    if (!image || image.decoded) return;
    image.decoded = true;
    image.decode().catch(() => {});
  }

  togglePixels() {
    const small = Math.max(...(this.sized ?? [0])) <= 128;
    this.pixelated = !(this.pixelated ?? small);
    this.root.querySelector("figure img")?.classList.toggle("pixels", this.pixelated);
  }

  // --- search, reasons, help ------------------------------------------------------------------------------------

  search() {
    if (!this.item) return;
    const list = make("div", { class: "found", role: "listbox", "aria-label": "classes" });
    const matches = () => {
      const wanted = input.value.trim().toLowerCase();
      const names = this.data.classes.filter((name) => name.toLowerCase().includes(wanted));
      return names.sort((a, b) => b.toLowerCase().startsWith(wanted) - a.toLowerCase().startsWith(wanted)).slice(0, 12);
    };
    const show = () => list.replaceChildren(...matches().map((name, k) => this.button(name, k ? [] : ["⏎"], () => this.choose(name), { role: "option" })));
    const input = make("input", { type: "search", placeholder: "class name, then Enter", "aria-label": "class search", on: {
      input: show,
      keydown: (event) => {
        if (event.key === "Enter") { const [first] = matches(); if (first !== undefined) { this.choose(first); this.root.focus({ preventScroll: true }); } }
        if (event.key === "Escape") { this.extra.replaceChildren(); this.root.focus({ preventScroll: true }); }
        event.stopPropagation();
      } } });
    this.extra.replaceChildren(input, list);
    show();
    input.focus();
  }

  async explain() {
    const item = this.item;
    if (!item) return;
    if (this.extra.dataset.why === item.id) { this.extra.replaceChildren(); delete this.extra.dataset.why; return; }
    const box = this.extra;
    box.dataset.why = item.id;
    box.replaceChildren(make("p", { text: "…" }));
    let told;
    try {
      told = await (await fetch(`/auditor/why?item=${encodeURIComponent(item.id)}`)).json();
    } catch { told = { error: "the server does not answer" }; }
    if (box.dataset.why !== item.id) return;
    const near = (told.neighbours ?? []).map((n) => make("figure", { class: "near" },
      n.src ? this.picture(n.src, `neighbour labelled ${n.given}`, false) : make("p", { class: "snippet", dir: "auto", text: n.text ?? "" }),
      make("figcaption", { text: `${n.given} ${n.similarity.toFixed(2)}` })));
    const maps = (told.maps ?? []).map((m) => make("figure", { class: "near" },
      this.picture(m.src, `where the network looked for ${m.name}`, false), make("figcaption", { text: `looked at for ${m.name}` })));
    box.replaceChildren(make("ul", {}, ...(told.error ? [told.error] : told.lines).map((line) => make("li", { text: line }))),
      make("div", { class: "neighbours maps" }, ...maps),
      make("div", { class: "neighbours" }, ...near));
  }

  showHelp() {
    const candidates = this.keys.byName ? ["0 – 9", "the class of this digit is right"] : [`${this.keys.keys[0]} – ${this.keys.keys.at(-1)}`.replace("a – v", "a s d f v"), "this class is right, likeliest first"];
    const rows = [["g, Enter", "the given label is right"], candidates, ["/", "another class, by name"],
      ["b", "the given label and the other candidate both apply"], ["n", "no class of this data applies"], ["u", "cannot tell"], ["x", "broken, empty or unreadable"],
      ["z, Backspace", "take the last verdict back"], ["← →", "look at another item first"], ["Space, Page keys", "scroll a long text"],
      ["w", "why the model doubts it"], ["p", "hard pixels or smooth"], ["h, Esc", "close this"]];
    const close = this.button("close", ["h"], () => this.modal.close(), { autofocus: "" });
    dialog(this.root, "keys", () => this.root.focus({ preventScroll: true }), make("h2", { text: "Keys" }), table(rows), close).classList.add("help");
  }
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  const host = parentElement.querySelector(".review-card") ?? parentElement;
  let card = cards.get(host);
  if (!card || !card.root.isConnected) {
    card = new Card(host);
    cards.set(host, card);
  }
  card.receive(data, setStateValue);
}
