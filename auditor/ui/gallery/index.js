// A grid of items to look at and to select from. Click selects, shift-click selects up to there. Data is shown as text only.

const grids = new WeakMap();

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
};

function face(item) {
  if (typeof item.src !== "string" || !item.src.startsWith("/auditor/img/")) return make("p", { class: "snippet", text: item.text ?? "" });
  const image = make("img", { src: item.src, alt: `labelled ${item.given}`, loading: "lazy", draggable: "false" });
  const sharp = () => image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) <= 128);
  image.addEventListener("load", sharp);
  if (image.complete) sharp();
  image.addEventListener("error", () => image.replaceWith(make("p", { class: "snippet", text: "cannot be shown" })));
  return image;
}

function tile(item, grid) {
  const label = item.suggested ? `${item.given} → ${item.suggested}` : item.given;
  const node = make(grid.selectable ? "button" : "div", { class: "tile", type: grid.selectable ? "button" : null, title: item.id, "aria-pressed": grid.selectable ? "false" : null },
    face(item), make("strong", { text: label }), make("small", { text: item.note || " " }));
  if (grid.selectable) node.addEventListener("click", (event) => grid.pick(item.id, event.shiftKey));
  return node;
}

class Grid {
  constructor(host) {
    this.host = host;
    this.root = make("div", { class: "grid" });
    host.append(this.root);
    this.selected = new Set();
  }

  receive(data, send) {
    this.send = send;
    const shown = JSON.stringify(data.items.map((item) => [item.id, item.verdicts]));
    if (shown === this.shown) return;
    this.shown = shown;
    this.selectable = data.selectable;
    this.ids = data.items.map((item) => item.id);
    this.selected = new Set();
    this.last = null;
    this.tiles = new Map(data.items.map((item) => [item.id, tile(item, this)]));
    this.root.replaceChildren(...this.tiles.values());
  }

  pick(id, range) {
    const on = !this.selected.has(id);
    const here = this.ids.indexOf(id);
    const from = range && this.last !== null ? this.last : here;
    for (let k = Math.min(from, here); k <= Math.max(from, here); k++) {
      if (on) this.selected.add(this.ids[k]);
      else this.selected.delete(this.ids[k]);
      this.tiles.get(this.ids[k]).setAttribute("aria-pressed", String(on));
    }
    this.last = here;
    this.send("selected", [...this.selected]);
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
