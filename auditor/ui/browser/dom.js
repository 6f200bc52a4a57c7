// What the components are made of. All data is shown as text.

export const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
};

export const key = (name) => make("kbd", { text: name });

// A button of a toolbar, with the keys that do the same.
export const act = (label, call, attributes = {}, ...keys) =>
  make("button", { type: "button", class: "act", on: { click: call }, ...attributes }, make("span", { text: label }), ...keys.map(key));

// Another page's address for whoever is here: with their name, so that it is not asked for again.
export const address = (page, query) => {
  const reviewer = new URLSearchParams(window.location.search).get("reviewer");
  return `${page}?${new URLSearchParams({ ...query, ...(reviewer && { reviewer }) })}`;
};

// Few pixels are easier to read hard than smooth.
export const isSmall = (image) => Math.max(image.naturalWidth, image.naturalHeight) <= 128;

export const isPicture = (src) => typeof src === "string" && src.startsWith("/auditor/img/");

// A dialog above everything: nothing behind it can be reached until it is closed. `closed` runs however that happens.
export const dialog = (parent, label, closed, ...children) => {
  const node = make("dialog", { "aria-label": label }, ...children);
  node.addEventListener("close", () => { node.remove(); closed?.(); });
  node.addEventListener("click", (event) => { if (event.target === node) node.close(); });
  parent.append(node);
  node.showModal();
  return node;
};

// A text, right to left where its letters are, with the words that speak for a class marked.
export const text = (content, marks) => {
  if (!content.trim()) return make("p", { class: "broken", text: content ? "This text holds spaces only." : "This text is empty." });
  const node = make("p", { class: "text", dir: "auto", tabindex: "0", role: "region", "aria-label": "text" });
  let from = 0;
  for (const [start, end, side] of marks ?? []) {
    node.append(content.slice(from, start), make("mark", { class: side ? "other" : "own", text: content.slice(start, end) }));
    from = end;
  }
  node.append(content.slice(from));
  return node;
};

export const table = (rows) => make("table", {}, make("tbody", {}, ...rows.map(([name, value]) =>
  make("tr", {}, make("th", { scope: "row", dir: "auto", text: name }), make("td", { dir: "auto", text: value })))));

// A verdict in words, on an item with these labels.
export const verdictName = (verdict, item) => {
  const words = { given: `right: ${item.given}`, suggested: item.suggested, both: `both: ${item.given} and ${item.suggested}`,
    neither: "neither", unsure: "unsure", bad_item: "bad item" };
  return Object.hasOwn(words, verdict) ? words[verdict] : verdict.startsWith("new:") ? `new class ${verdict.slice(4)}` : verdict.replace(/^other:/, "");
};
