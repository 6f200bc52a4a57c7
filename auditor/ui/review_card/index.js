// The review card. It holds its own queue: a key files its verdict and shows the next item at once, without the server.
// Verdicts stay in the outbox (and in localStorage) until the server says it has them. All data is shown as text.

const SEND_AGAIN_MS = 2500;
const DECODED_AHEAD = 6; // pictures decoded before they are shown
const FETCHED_AT_ONCE = 3; // of the browser's six connections: the card on screen needs the others
const cards = new WeakMap();

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
};
const key = (name) => make("kbd", { text: name });
const uuid = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
const isPicture = (src) => typeof src === "string" && src.startsWith("/auditor/img/");

class Card {
  constructor(parent) {
    this.parent = parent;
    this.queue = []; // items to judge
    this.at = 0; // the one on screen
    this.outbox = []; // events not acknowledged
    this.history = []; // for undo: {uuid, item}
    this.judged = new Set();
    this.number = Date.now(); // rises with every message, also over reloads
    this.pixelated = null; // null = by size
    this.online = true;
    this.pictures = new Map();
    this.fetching = 0;
    this.root = make("div", { class: "card", tabindex: "-1" });
    parent.append(this.root);
    this.onKey = (event) => this.pressed(event);
    document.addEventListener("keydown", this.onKey, true);
    this.timer = setInterval(() => this.tick(), 500);
  }

  // --- messages -------------------------------------------------------------------------------------------------

  receive(data, send) {
    this.send = send;
    if (!this.data) this.restore(data.mirror);
    this.data = data;
    const done = new Set(data.acked);
    for (const event of this.outbox) if (done.has(event.uuid)) this.forget(event.uuid);
    this.outbox = this.outbox.filter((event) => !done.has(event.uuid));
    const known = new Set(this.queue.map((item) => item.id));
    for (const item of data.batch) if (!known.has(item.id) && !this.judged.has(item.id)) this.queue.push(item);
    if (this.outbox.length === 0) this.lastSent = 0;
    if (!this.drawn || this.drawn !== this.queue[this.at]?.id) this.draw();
    else this.status();
    this.prefetch();
    if (this.outbox.length && !this.lastSent) this.post();
  }

  restore(mirror) {
    this.prefix = `auditor-outbox:${mirror}:`;
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i);
        if (name.startsWith(this.prefix)) this.outbox.push(JSON.parse(localStorage.getItem(name)));
      }
      this.history = JSON.parse(sessionStorage.getItem(`auditor-undo:${mirror}`) ?? "[]");
    } catch { /* a browser without storage reviews without the mirror */ }
    this.outbox.sort((a, b) => a.client_time - b.client_time);
    const retracted = new Set(this.outbox.filter((e) => e.kind === "retract").map((e) => e.target));
    for (const e of this.outbox) if (e.kind === "verdict" && !retracted.has(e.uuid)) this.judged.add(e.item_id);
  }

  keep(event) {
    this.outbox.push(event);
    try {
      localStorage.setItem(this.prefix + event.uuid, JSON.stringify(event));
      sessionStorage.setItem(`auditor-undo:${this.data.mirror}`, JSON.stringify(this.history.slice(-20)));
    } catch { /* full or forbidden: the outbox still has it */ }
    this.post();
  }

  forget(id) {
    try { localStorage.removeItem(this.prefix + id); } catch { /* as above */ }
  }

  post() {
    this.lastSent = Date.now();
    try {
      this.send("outbox", { n: ++this.number, left: this.queue.length, events: this.outbox.slice(0, 500) });
    } catch { /* not connected: tick sends again */ }
  }

  tick() {
    if (!this.root.isConnected) {
      clearInterval(this.timer);
      document.removeEventListener("keydown", this.onKey, true);
      return;
    }
    if (this.outbox.length && Date.now() - this.lastSent > SEND_AGAIN_MS) { this.late = true; this.post(); this.status(); }
  }

  // --- verdicts -------------------------------------------------------------------------------------------------

  get item() { return this.queue[this.at]; }

  judge(verdict) {
    const item = this.item;
    if (!item || this.help || (["suggested", "both"].includes(verdict) && !item.suggested)) return;
    const id = uuid();
    this.queue.splice(this.at, 1);
    if (this.at >= this.queue.length) this.at = 0;
    this.judged.add(item.id);
    this.history.push({ uuid: id, item });
    this.draw(); // first the next item, then everything else
    this.keep({
      uuid: id, kind: "verdict", item_id: item.id, verdict, shown_label: item.given,
      shown_suggested: item.suggested ?? null, ms: Math.min(Date.now() - this.shownAt, 86400000), client_time: Date.now() / 1000,
    });
    this.say(`${this.name(verdict, item)}. Next: ${this.item ? `labelled ${this.item.given}` : "nothing left"}`);
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
    this.keep({ uuid: uuid(), kind: "retract", target: last.uuid, client_time: Date.now() / 1000 });
    this.say(`Taken back: labelled ${last.item.given}`);
  }

  move(step) {
    if (this.queue.length < 2) return;
    this.at = (this.at + step + this.queue.length) % this.queue.length;
    this.draw();
    this.prefetch();
  }

  name(verdict, item) {
    const words = { given: `right: ${item.given}`, suggested: item.suggested, both: `both: ${item.given} and ${item.suggested}`,
      neither: "neither", unsure: "unsure", bad_item: "bad item" };
    return words[verdict] ?? verdict.replace(/^other:/, "");
  }

  pressed(event) {
    if (!this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    if (target instanceof Element) {
      if (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)) return;
      if (["Enter", " "].includes(event.key) && target.closest("button, a, summary, [role=button], [role=tab], [role=option]")) return;
    }
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const acts = {
      g: () => this.judge("given"), Enter: () => this.judge("given"), b: () => this.judge("both"), n: () => this.judge("neither"),
      u: () => this.judge("unsure"), x: () => this.judge("bad_item"), z: () => this.undo(), Backspace: () => this.undo(),
      ArrowRight: () => this.move(1), ArrowDown: () => this.move(1), ArrowLeft: () => this.move(-1), ArrowUp: () => this.move(-1),
      "/": () => this.search(), h: () => this.showHelp(!this.help), p: () => this.togglePixels(), w: () => this.explain(),
      Escape: () => this.showHelp(false),
    };
    const digit = /^[1-5]$/.test(name) ? this.item?.options[Number(name) - 1] : undefined;
    const act = digit !== undefined ? () => this.choose(digit) : acts[name];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    // A key held down is not twenty verdicts.
    if (!event.repeat || name.startsWith("Arrow")) act();
  }

  // --- drawing --------------------------------------------------------------------------------------------------

  button(label, keys, call, extra = {}) {
    const act = () => { call(); this.root.focus({ preventScroll: true }); };
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

  marked(text, marks) {
    const node = make("p", { class: "text" });
    let from = 0;
    for (const [start, end, side] of marks ?? []) {
      node.append(text.slice(from, start), make("mark", { class: side ? "other" : "own", text: text.slice(start, end) }));
      from = end;
    }
    node.append(text.slice(from));
    return node;
  }

  table(rows) {
    return make("table", {}, make("tbody", {}, ...rows.map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row", text: name }), make("td", { text: value })))));
  }

  content(item) {
    if (item.error) return make("p", { class: "broken", text: item.error });
    if (item.src) return this.picture(item.src, `item labelled ${item.given}`, true);
    if (item.text !== undefined) return this.marked(item.text, item.marks);
    if (item.row) return this.table(item.row);
    return make("p", { class: "broken", text: "This run holds probabilities only; there is no item to show." });
  }

  exemplarsOf(name) {
    // A class may be called "constructor".
    return Object.hasOwn(this.data.exemplars, name) ? this.data.exemplars[name] : [];
  }

  examples(name, item) {
    const own = this.exemplarsOf(name).filter((e) => e.hash !== item.hash).slice(0, this.data.n_exemplars);
    const face = (e) => (e.src ? this.picture(e.src, `example of ${name}`, false) : make("p", { class: "snippet", text: e.text ?? "" }));
    return make("div", { class: "examples", "aria-hidden": "true" }, ...own.map(face));
  }

  choice(name, keys, call, item, role) {
    const title = { given: "given label", suggested: "model suggests" }[role];
    return make("div", { class: `choice ${role}` },
      make("button", { type: "button", class: "verdict", on: { click: () => { call(); this.root.focus({ preventScroll: true }); } } },
        make("span", { class: "keys" }, ...keys.map(key)), make("strong", { text: name, title: name }), title && make("small", { text: title })),
      role !== "further" && this.examples(name, item));
  }

  draw() {
    const item = this.item;
    this.drawn = item?.id;
    this.shownAt = Date.now();
    const view = document.createDocumentFragment();
    if (item) {
      const options = item.options.map((name, k) =>
        this.choice(name, [String(k + 1)], () => this.choose(name), item, k === 0 ? "suggested" : "further"));
      const votes = Object.entries(item.votes ?? {}).map(([who, verdict]) =>
        make("li", {}, make("b", { text: who }), ` ${this.name(verdict, item)}`));
      const actions = [
        this.button("both", ["b"], () => this.judge("both"), { disabled: item.suggested ? null : "" }),
        this.button("neither", ["n"], () => this.judge("neither")), this.button("unsure", ["u"], () => this.judge("unsure")),
        this.button("bad item", ["x"], () => this.judge("bad_item")), this.button("other class", ["/"], () => this.search()),
        this.button("undo", ["z"], () => this.undo()), this.button("back", ["←"], () => this.move(-1)),
        this.button("later", ["→"], () => this.move(1)), this.button("why", ["w"], () => this.explain()),
        item.src && this.button("pixels", ["p"], () => this.togglePixels()), this.button("help", ["h"], () => this.showHelp(!this.help)),
      ];
      view.append(make("div", { class: "stage" },
        make("figure", { class: item.src ? "image" : "words" }, this.content(item),
          make("figcaption", {}, make("span", { text: "labelled" }), make("strong", { text: item.given }), make("code", { text: item.id })),
          (this.small = make("div", { class: "small" }))),
        make("div", { class: "side" },
          votes.length ? make("ul", { class: "votes" }, ...votes) : null,
          this.choice(item.given, ["g", "⏎"], () => this.judge("given"), item, "given"),
          options[0], make("div", { class: "more" }, ...options.slice(1)), make("div", { class: "actions" }, ...actions),
          (this.extra = make("div", { class: "extra" })))));
    } else {
      view.append(make("div", { class: "empty" }, make("h3", { text: "Nothing is waiting for you" }),
        make("p", { text: "Every item that wants a verdict has one, or is in another reviewer's hand." }),
        this.button("look again", [], () => this.post()), this.button("undo", ["z"], () => this.undo())));
    }
    this.foot = make("footer", {}, (this.saved = make("span", { class: "saved" })), (this.live = make("span", { class: "live", role: "status", "aria-live": "polite" })));
    view.append(this.foot);
    this.root.replaceChildren(view);
    this.status();
    if (this.help) this.showHelp(true);
  }

  status() {
    if (!this.saved) return;
    const waiting = this.outbox.length;
    const bad = this.data.problem ?? (this.late && waiting ? "no answer from the server" : null);
    if (!waiting) this.late = false;
    this.saved.className = `saved ${bad && waiting ? "bad" : waiting ? "busy" : "good"}`;
    const sent = waiting ? `, ${waiting} on the way` : "";
    this.saved.textContent = `saved ${this.data.saved}${sent}${bad && waiting ? ` (kept in this browser: ${bad})` : ""} · ${this.queue.length} in hand`;
    const refused = this.data.refused.at(-1);
    if (refused && refused[0] !== this.toldRefused) { this.toldRefused = refused[0]; this.say(`Not stored: ${refused[1]}`); }
  }

  say(text) {
    if (this.live) this.live.textContent = text;
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
    if (!this.item || this.help) return;
    const list = make("div", { class: "found", role: "listbox" });
    const matches = () => {
      const text = input.value.trim().toLowerCase();
      const names = this.data.classes.filter((name) => name.toLowerCase().includes(text));
      return names.sort((a, b) => b.toLowerCase().startsWith(text) - a.toLowerCase().startsWith(text)).slice(0, 12);
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
      n.src ? this.picture(n.src, `neighbour labelled ${n.given}`, false) : make("p", { class: "snippet", text: n.text ?? "" }),
      make("figcaption", { text: `${n.given} ${n.similarity.toFixed(2)}` })));
    const maps = (told.maps ?? []).map((m) => make("figure", { class: "near" },
      this.picture(m.src, `where the network looked for ${m.name}`, false), make("figcaption", { text: `looked at for ${m.name}` })));
    box.replaceChildren(make("ul", {}, ...(told.error ? [told.error] : told.lines).map((line) => make("li", { text: line }))),
      make("div", { class: "neighbours maps" }, ...maps),
      make("div", { class: "neighbours" }, ...near));
  }

  showHelp(on) {
    this.help = on;
    this.root.querySelector(".help")?.remove();
    if (!on) return;
    const rows = [["g, Enter", "the given label is right"], ["1 – 5", "this class is right, likeliest first"], ["/", "another class, by name"],
      ["b", "given and suggested both apply"], ["n", "no class of this data applies"], ["u", "cannot tell"], ["x", "broken, empty or unreadable"],
      ["z, Backspace", "take the last verdict back"], ["← →", "look at another item first"], ["w", "why the model doubts it"],
      ["p", "hard pixels or smooth"], ["h, Esc", "close this"]];
    this.root.append(make("div", { class: "help", role: "dialog", "aria-label": "keys" }, make("h3", { text: "Keys" }), this.table(rows),
      this.button("close", ["h"], () => this.showHelp(false))));
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
