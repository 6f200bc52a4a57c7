// As much of a browser's page as the components need: elements, listeners, dialogs. Nothing is laid out or drawn.

class Element {
  constructor(tag) {
    Object.assign(this, { tagName: tag.toUpperCase(), children: [], parent: null, attributes: {}, listeners: {}, dataset: {}, ownText: "", value: "" });
    this.style = { setProperty() {} };
    this.classList = { toggle: (name, on) => { this.attributes.class = [...this.classes.filter((one) => one !== name), ...(on ? [name] : [])].join(" "); },
      contains: (name) => this.classes.includes(name) };
  }

  get classes() { return (this.attributes.class ?? "").split(" ").filter(Boolean); }
  get className() { return this.attributes.class ?? ""; }
  set className(names) { this.attributes.class = names; }
  get textContent() { return this.ownText + this.children.map((child) => child.textContent).join(""); }
  set textContent(text) { this.children = []; this.ownText = String(text); }
  get childElementCount() { return this.children.length; }
  get isConnected() { return this === document.body || Boolean(this.parent?.isConnected); }

  setAttribute(name, value) { this.attributes[name] = String(value); if (["src", "title", "value"].includes(name)) this[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  getRootNode() { return document; }

  append(...children) { this.take(children, this.children.length); }
  prepend(...children) { this.take(children, 0); }
  replaceChildren(...children) { for (const child of this.children) child.parent = null; this.children = []; this.ownText = ""; this.take(children, 0); }
  replaceWith(other) { this.parent.children[this.parent.children.indexOf(this)] = other; other.parent = this.parent; this.parent = null; }
  remove() { if (this.parent) this.parent.children = this.parent.children.filter((child) => child !== this); this.parent = null; }

  take(children, at) {
    const nodes = children.map((child) => (child instanceof Element ? child : Object.assign(new Element("#text"), { ownText: String(child) })));
    for (const node of nodes) { node.remove(); node.parent = this; }
    this.children.splice(at, 0, ...nodes);
  }

  addEventListener(kind, call) { (this.listeners[kind] ??= []).push(call); }
  dispatchEvent(event) { for (const call of this.listeners[event.type] ?? []) call({ target: this, preventDefault() {}, stopPropagation() {}, ...event }); }
  click() { if (!this.disabled && this.attributes.disabled === undefined) this.dispatchEvent({ type: "click" }); }
  focus() { document.activeElement = this; }
  showModal() { this.attributes.open = ""; }
  close() { delete this.attributes.open; this.dispatchEvent({ type: "close" }); }

  // Of selectors a tag, classes and attributes that are there: "dialog[open]", ".act.fresh", "small".
  matches(selector) {
    const [, tag, rest] = /^([a-z0-9]*)(.*)$/.exec(selector);
    const parts = [...rest.matchAll(/\.([\w-]+)|\[([\w-]+)\]/g)];
    return this.tagName !== "#TEXT" && (!tag || this.tagName === tag.toUpperCase())
      && parts.every(([, name, attribute]) => (name ? this.classes.includes(name) : attribute in this.attributes));
  }
  querySelectorAll(selector) { return this.children.flatMap((child) => [...(child.matches(selector) ? [child] : []), ...child.querySelectorAll(selector)]); }
  querySelector(selector) { return this.querySelectorAll(selector)[0] ?? null; }
}

// Makes the globals of a page; gives the body, and a button of it by its words.
export function openPage() {
  globalThis.document = { readyState: "complete", activeElement: null, createElement: (tag) => new Element(tag), addEventListener() {}, removeEventListener() {} };
  globalThis.Element = Element;
  document.body = new Element("body");
  const kept = new Map();
  globalThis.window = { location: { search: "?reviewer=Ann" }, addEventListener() {}, removeEventListener() {}, localStorage: {
    get length() { return kept.size; }, key: (k) => [...kept.keys()][k], getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => { kept.set(name, value); }, removeItem: (name) => { kept.delete(name); } } };
  globalThis.setInterval = () => 0; // nothing happens by itself
  const press = (words, within = document.body) => {
    const button = within.querySelectorAll("button").find((node) => node.textContent === words);
    if (!button) throw new Error(`no button "${words}" among ${within.querySelectorAll("button").map((node) => node.textContent).join(", ")}`);
    button.click();
  };
  return { body: document.body, press };
}
