// The review card. It holds its own queue: a key files its verdict and shows the next item at once, without the server.
// Verdicts stay in the outbox until the server says it has them.

import { dialog, isPicture, isSmall, key, make, table, text, verdictName } from "./dom.js";
import { EDITORS, edit } from "./forms.js";
import { candidateKeys, classKeys, COMMANDS, meaning } from "./keys.js";
import { Outbox } from "./outbox.js";
import { comment, guidelines, help, near, search, why } from "./panels.js";
import { sentence, spelled } from "./tokens.js";
import { Zoom } from "./zoom.js";

const DECODED_AHEAD = 6; // pictures decoded before they are shown
const SENT = 768; // the width in which pictures are sent at first
const FULL = 16383; // asks for a picture as it is (`contents.FULL`)
const FETCHED_AT_ONCE = 3; // of the browser's six connections: the card on screen needs the others
const KEPT = 400; // pictures that are kept for a second look
const PAN = 80; // pixels that a key moves a zoomed picture
const SAY_HERE_MS = 45000; // how often a reviewer who looks at an item is said to be there
const N_FURTHER = 4; // classes below the candidate
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
    this.body = make("div", { class: "body" }); // dialogs lie beside it, and stay when it is drawn anew
    this.root = make("div", { class: "card", tabindex: "-1" }, this.body);
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
    this.settings ??= data.settings ?? { fixed: false, own: {} }; // from then on this card knows better
    this.useKeys();
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

  useKeys() {
    const { classes } = this.data;
    this.keys = candidateKeys(classes);
    this.fixed = this.settings.fixed ? classKeys(classes, this.settings.own) : null;
    this.known = new Set([...COMMANDS, ...this.keys.keys, ...(this.keys.byName ? classes : []), ...(this.fixed?.values() ?? [])]);
  }

  // How this person wants the keys; kept with the run.
  set(settings) {
    this.settings = settings;
    this.useKeys();
    this.send("settings", { n: Date.now(), keys: settings });
    this.draw();
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

  get field() { return this.root.querySelector(".extra input, .extra textarea"); }

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

  // A comment or a wish to discuss goes the way of the verdicts.
  remark(said) {
    const item = this.item;
    if (!item) return;
    Object.assign(item.remark, said);
    this.keep(this.outbox.remark(item, said));
    this.marked();
  }

  discuss() {
    if (!this.item) return;
    const on = !this.item.remark.discuss;
    this.remark({ discuss: on });
    this.say(on ? "To be discussed" : "Not to be discussed");
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
      const typing = event.composedPath()[0]?.tagName === "INPUT";
      if (!typing && name === this.modal.dataset.key) { event.preventDefault(); this.modal.close(); }
      return;
    }
    if (this.ticks) { // a set of tags is open: keys tick, wherever the focus is
      const on = event.composedPath()[0];
      if (name === "Enter" && on instanceof Element && on.closest("button, a")) return;
      if (this.ticks(name, event.shiftKey)) { event.preventDefault(); event.stopPropagation(); }
      return;
    }
    const target = event.composedPath()[0];
    if (target instanceof Element) {
      if (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)) return;
      if (["Enter", " "].includes(event.key) && target.closest("button, a, summary, [role=button], [role=tab], [role=option]")) return;
    }
    if (this.field && !this.ticks) { this.typed(this.field, event); return; }
    const acts = {
      g: () => this.judge("given"), Enter: () => this.judge("given"),
      ...(this.data.form ? { e: () => edit(this) } : { b: () => this.judge("both"), n: () => this.judge("neither") }),
      u: () => this.judge("unsure"), x: () => this.judge("bad_item"), z: () => this.undo(), Backspace: () => this.undo(),
      ArrowRight: () => this.move(1), ArrowDown: () => this.move(1), ArrowLeft: () => this.move(-1), ArrowUp: () => this.move(-1),
      "/": () => (this.data.form ? edit(this) : search(this)), h: () => help(this), p: () => this.togglePixels(), w: () => why(this), m: () => comment(this),
      t: () => this.discuss(), ...(this.data.form ? {} : { k: () => guidelines(this) }), l: () => near(this),
      "+": () => this.zoom?.by(1.5), "=": () => this.zoom?.by(1.5), "-": () => this.zoom?.by(1 / 1.5),
    };
    const act = (event.shiftKey && this.panned(name)) || this.chosen(name) || acts[name] || this.scrolled(name);
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
    if (this.fixed) {
      const [own] = [...this.fixed].find(([, key]) => key === name) ?? [];
      return own === undefined ? undefined : () => this.choose(own);
    }
    const candidate = this.keys.byName ? (this.data.classes.includes(name) ? name : undefined) : item.options[this.keys.keys.indexOf(name)];
    return candidate === undefined ? undefined : () => this.choose(candidate);
  }

  keysOf(name, k) {
    if (this.fixed) return this.fixed.has(name) ? [this.fixed.get(name)] : [];
    return this.keys.byName ? [name] : this.keys.keys.slice(k, k + 1);
  }

  // A zoomed picture is moved by the arrows with Shift.
  panned(name) {
    const way = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[name];
    return way && this.zoom?.view.scale > 1 ? () => this.zoom.move(...way) : undefined;
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
    const act = () => { call(); if (!this.modal && !this.field) this.root.focus({ preventScroll: true }); };
    return make("button", { type: "button", on: { click: act }, ...extra }, make("span", { text: label }), ...keys.map(key));
  }

  picture(src, alt, big) {
    const { small } = this; // of the item that is being drawn: a picture that comes late changes nothing of the next one
    const node = make("img", { src: isPicture(src) ? src : null, alt, decoding: big ? "sync" : "async",
      fetchpriority: big ? "high" : "low", draggable: "false" });
    const sharp = () => {
      const few = isSmall(node);
      node.classList.toggle("pixels", big ? this.pixelated ?? few : few);
      if (!big || small !== this.small) return;
      this.sized = [node.naturalWidth, node.naturalHeight];
      // Few pixels are easier to read small and smooth than large and hard: both are shown.
      small?.replaceChildren(few ? make("img", { src: node.src, alt: "" }) : "");
    };
    node.addEventListener("load", sharp);
    if (node.complete && node.naturalWidth) sharp();
    node.addEventListener("error", () => node.replaceWith(make("p", { class: "broken", text: "This picture cannot be shown." })));
    return node;
  }

  content(item) {
    if (item.error) return make("p", { class: "broken", text: item.error });
    if (item.src) {
      const image = this.picture(item.src, `item labelled ${item.given}`, true);
      const view = make("div", { class: "view" }, image);
      this.zoom = new Zoom(view, image, () => this.whole(item, image));
      return view;
    }
    const tagged = this.data.form?.kind === "tokens" && item.text !== undefined && sentence(this.data.form, item);
    if (tagged) return tagged;
    if (item.text !== undefined) return text(item.text, item.marks);
    if (item.row) return table(item.row);
    return make("p", { class: "broken", text: "This run holds probabilities only; there is no item to show." });
  }

  // What was scaled down is fetched in its own resolution once somebody looks closely.
  whole(item, image) {
    if (Math.max(...(this.sized ?? [0])) < SENT) return;
    const full = new Image();
    full.addEventListener("load", () => { if (this.item === item && image.isConnected) image.src = full.src; });
    full.src = `${item.src.split("?")[0]}?w=${FULL}`;
  }

  exemplarsOf(name) {
    // A class may be called "constructor".
    return Object.hasOwn(this.data.exemplars, name) ? this.data.exemplars[name] : [];
  }

  examples(name, item) {
    const own = this.exemplarsOf(name).filter((e) => e.hash !== item.hash).slice(0, this.data.n_exemplars);
    const face = (e) => (e.src ? this.picture(e.src, "", false) : make("p", { class: "snippet", dir: "auto", text: e.text || "(empty)" }));
    return make("div", { class: `examples ${item.src ? "faces" : "snippets"}`, "aria-hidden": "true" }, ...own.map(face));
  }

  choice(name, keys, call, item, role) {
    // Not "the model suggests": where the model agrees with the given label, the candidate is its second thought.
    const title = { given: "given label", suggested: "other candidate" }[role];
    const act = () => { call(); this.root.focus({ preventScroll: true }); };
    const shown = spelled(this.data.form, name, item);
    return make("div", { class: `choice ${role}` },
      make("button", { type: "button", class: "verdict", on: { click: act } },
        make("span", { class: "keys" }, ...keys.map(key)), make("strong", { dir: "auto", text: shown, title: shown }), title && make("small", { text: title })),
      role !== "further" && this.examples(name, item));
  }

  draw() {
    const item = this.item;
    this.drawn = item?.id;
    this.shownAt = this.hereAt = Date.now();
    this.zoom = null;
    this.ticks = null;
    this.body.replaceChildren(item ? this.stage(item) : this.nothing(),
      (this.extra = make("div", { class: "extra" })),
      make("footer", {}, (this.saved = make("span", { class: "saved" })), (this.live = make("span", { class: "live", role: "status", "aria-live": "polite" }))));
    if (item) this.marked();
    this.status();
  }

  // Everything has its place and its height: nothing moves from one item to the next.
  stage(item) {
    this.small = make("div", { class: "small" }); // before the picture, which fills it
    const [first, ...further] = this.fixed ? [item.options[0], ...this.fixed.keys()] : item.options;
    const places = this.fixed ? further.length : N_FURTHER;
    const others = Array.from({ length: places }, (_, k) => (further[k] === undefined ? make("div", { class: "choice" })
      : this.choice(further[k], this.keysOf(further[k], k + 1), () => this.choose(further[k]), item, "further")));
    const votes = Object.entries(item.votes ?? {}).map(([who, verdict]) => make("li", {}, make("b", { text: who }), ` ${verdictName(verdict, item)}`));
    const said = Object.entries(item.remark.others).map(([who, words]) => make("li", {}, make("b", { text: who }), make("span", { dir: "auto", text: ` ${words}` })));
    const given = [...new Set(["g", "⏎", ...(this.keys.byName ? [item.given] : this.fixed ? this.keysOf(item.given) : [])])];
    const link = make("a", { class: "id", href: `review?item=${encodeURIComponent(item.id)}`, target: "_blank", title: `a link to ${item.id}` }, make("code", { text: item.id }));
    const { form } = this.data; // labels that are no classes
    const verdicts = [
      ...(form ? [this.button(EDITORS[form.kind].word, ["e", "/"], () => edit(this))] : [
        this.button("both", ["b"], () => this.judge("both"), { disabled: item.suggested ? null : "" }),
        this.button("neither", ["n"], () => this.judge("neither"))]),
      this.button("unsure", ["u"], () => this.judge("unsure")), this.button("broken", ["x"], () => this.judge("bad_item")),
      form ? null : this.button("other class", ["/"], () => search(this)),
    ].filter(Boolean);
    const tools = [
      this.button("undo", ["z"], () => this.undo()), this.button("back", ["←"], () => this.move(-1)), this.button("later", ["→"], () => this.move(1)),
      this.button("why", ["w"], () => why(this)), this.button("like this", ["l"], () => near(this)),
      item.src && this.button("pixels", ["p"], () => this.togglePixels()),
      this.commentButton = this.button("comment", ["m"], () => comment(this)), this.discussButton = this.button("discuss", ["t"], () => this.discuss()),
      form ? null : this.button("guidelines", ["k"], () => guidelines(this)), this.button("help", ["h"], () => help(this)),
    ];
    return make("div", { class: "stage" },
      make("figure", { class: item.src ? "image" : "words" }, this.content(item),
        make("figcaption", {}, this.small, make("span", { text: "labelled" }), make("strong", { dir: "auto", text: spelled(form, item.given, item), title: item.given }), link)),
      make("div", { class: "side" },
        votes.length ? make("ul", { class: "votes" }, ...votes) : null,
        this.choice(item.given, given, () => this.judge("given"), item, "given"),
        first === undefined ? null : this.choice(first, this.keysOf(first, 0), () => this.choose(first), item, "suggested"),
        make("div", { class: this.fixed ? "more fixed" : "more" }, ...others),
        make("div", { class: "actions verdicts", role: "toolbar", "aria-label": "verdicts" }, ...verdicts),
        item.own ? make("p", { class: "votes own", text: `You have judged this item: ${verdictName(item.own.verdict, item)}. Another verdict replaces it.` }) : null,
        said.length ? make("ul", { class: "votes said" }, ...said) : null),
      make("div", { class: "actions tools", role: "toolbar", "aria-label": "tools" }, ...tools));
  }

  nothing() {
    return make("div", { class: "empty" }, make("h2", { text: "Nothing is waiting for you" }),
      make("p", { text: "Every item that wants a verdict has one, or is in another reviewer's hand." }),
      this.button("look again", [], () => this.outbox.post()), this.button("undo", ["z"], () => this.undo()));
  }

  // What was remarked on the item.
  marked() {
    const { comment: words, discuss } = this.item.remark;
    this.discussButton.setAttribute("aria-pressed", String(discuss));
    this.commentButton.setAttribute("aria-pressed", String(Boolean(words)));
    this.commentButton.title = words;
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
    this.wanted = new Set([...near, ...hand.flatMap((item) => [item.src, ...faces(item)])].filter(isPicture));
    this.fetchNext();
    for (const src of near) this.decode(src);
  }

  fetchNext() {
    while (this.fetching < FETCHED_AT_ONCE) {
      const src = [...this.wanted].find((one) => !this.pictures.has(one));
      if (!src) return;
      const image = new Image();
      image.fetchPriority = "low";
      const done = () => { this.fetching--; this.fetchNext(); };
      for (const kind of ["load", "error"]) image.addEventListener(kind, done); // the card tells of errors
      image.src = src;
      this.fetching++;
      this.pictures.set(src, image);
      // One that is still wanted would be fetched again at once, and so on without an end.
      if (this.pictures.size > KEPT) this.pictures.delete([...this.pictures.keys()].find((one) => !this.wanted.has(one)));
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
    this.root.querySelector(".view img")?.classList.toggle("pixels", this.pixelated);
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
