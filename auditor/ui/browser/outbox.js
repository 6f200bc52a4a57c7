// Verdicts on their way to the server. Each stays here, and in the browser's storage, until the server says it has it:
// so a slow or dead server, a closed tab and a reload lose none. The server stores each once, however often it comes.

export const SEND_AGAIN_MS = 2500;
export const MOST = 500; // events of one message

export const uuid = () => crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

const parsed = (text) => { try { return JSON.parse(text); } catch { return null; } };

export class Outbox {
  // `storage` is like localStorage; `now` in milliseconds.
  constructor(mirror, send, storage, now = Date.now) {
    this.prefix = `auditor-outbox:${mirror}:`;
    this.send = send;
    this.storage = storage;
    this.now = now;
    this.events = []; // not acknowledged
    this.questions = []; // {event, uuid, verdict}: another verdict of the same person holds, and this one waits for an answer
    this.number = now(); // rises with every message, also over reloads
    this.sentAt = 0;
    this.sent = new Set(); // uuids of the last message
    this.names = new Map();
    this.restore();
  }

  restore() {
    try {
      // One person may have typed the name in two ways; what follows it is an id, and not the rest of a longer name.
      const prefix = this.prefix.toLowerCase();
      const mine = (name) => name.toLowerCase().startsWith(prefix) && /^[0-9a-f-]+$/.test(name.toLowerCase().slice(prefix.length));
      for (const name of Array.from({ length: this.storage.length }, (_, k) => this.storage.key(k)).filter(mine)) {
        const event = parsed(this.storage.getItem(name));
        if (!event?.uuid) continue; // a part of one, as a full disk leaves it: the others are no worse for it
        this.events.push(event);
        this.names.set(event.uuid, name);
      }
    } catch { /* a browser without storage reviews without the mirror */ }
    this.events.sort((a, b) => a.client_time - b.client_time);
  }

  get waiting() { return this.events.length; }

  // Items with a verdict that is still on its way.
  judged() {
    const retracted = new Set(this.events.filter((e) => e.kind === "retract").map((e) => e.target));
    return this.events.filter((e) => e.kind === "verdict" && !retracted.has(e.uuid)).map((e) => e.item_id);
  }

  add(...events) {
    for (const event of events) {
      this.events.push(event);
      this.keep(event);
    }
    this.post();
  }

  verdict(item, verdict, ms) {
    return { uuid: uuid(), kind: "verdict", item_id: item.id, verdict, shown_label: item.given, shown_suggested: item.suggested ?? null,
      replaces: item.own?.uuid ?? null, ms, client_time: this.now() / 1000 };
  }

  retract(target) {
    return { uuid: uuid(), kind: "retract", target, client_time: this.now() / 1000 };
  }

  // A comment, or whether the item is to be discussed.
  remark(item, said) {
    return { uuid: uuid(), kind: "remark", item_id: item.id, comment: null, discuss: null, ...said, client_time: this.now() / 1000 };
  }

  keep(event) {
    const name = this.names.get(event.uuid) ?? this.prefix + event.uuid;
    this.names.set(event.uuid, name);
    try { this.storage.setItem(name, JSON.stringify(event)); } catch { /* full or forbidden: the outbox still has it */ }
  }

  forget(id) {
    try { this.storage.removeItem(this.names.get(id) ?? this.prefix + id); } catch { /* as above */ }
    this.names.delete(id);
  }

  post(left = this.left?.() ?? MOST) {
    this.sentAt = this.now();
    const events = this.events.slice(0, MOST);
    this.sent = new Set(events.map((event) => event.uuid));
    try {
      this.send("outbox", { n: ++this.number, left, events });
    } catch { /* not connected: it is sent again */ }
  }

  // What the server answered: uuids it is done with, and [uuid, uuid of the verdict that holds, that verdict].
  answered(acked, conflicts = []) {
    const done = new Set(acked);
    for (const event of this.events) if (done.has(event.uuid)) this.forget(event.uuid);
    this.events = this.events.filter((event) => !done.has(event.uuid));
    for (const [id, holds, verdict] of conflicts) {
      const event = this.events.find((e) => e.uuid === id);
      if (!event) continue;
      this.events = this.events.filter((e) => e !== event);
      this.questions.push({ event, uuid: holds, verdict });
    }
    if (!this.events.length) this.sentAt = 0;
    // What did not fit into the last message goes at once when all of it is answered.
    else if (!this.sentAt || !this.events.some((event) => this.sent.has(event.uuid))) this.post();
  }

  // The answer to the first question: whether this verdict replaces the one that holds.
  decide(replace) {
    const { event, uuid: holds } = this.questions.shift();
    if (replace) this.add({ ...event, replaces: holds });
    else this.forget(event.uuid);
  }

  // Sends again what was not answered in time; true where that was so.
  again() {
    if (!this.events.length || this.now() - this.sentAt <= SEND_AGAIN_MS) return false;
    this.post();
    return true;
  }
}
