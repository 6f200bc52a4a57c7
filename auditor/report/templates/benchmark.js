"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const models = data.models, tip = document.getElementById("tip"), NS = "http://www.w3.org/2000/svg";
  const chosen = new Map();
  const colour = (name) => chosen.has(name) ? `var(--c${chosen.get(name)})` : "var(--faint)";
  const el = (tag, attributes, parent, text) => {
    const node = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };
  const pct = (x, digits = 2) => (100 * x).toFixed(digits) + " %";
  const choose = (name) => {
    if (chosen.has(name)) chosen.delete(name);
    else { const used = new Set(chosen.values()); let k = 0; while (used.has(k) && k < 7) k++; chosen.set(name, k); }
    draw();
  };
  const hint = (node, lines, name) => {
    node.addEventListener("mousemove", (event) => {
      tip.textContent = ""; lines.forEach((line, k) => { if (k) tip.append(document.createElement("br")); tip.append(line); });
      tip.style.left = Math.min(event.clientX + 14, innerWidth - 290) + "px"; tip.style.top = event.clientY + 14 + "px"; tip.style.opacity = 1;
    });
    node.addEventListener("mouseleave", () => { tip.style.opacity = 0; });
    if (name) { node.style.cursor = "pointer"; node.addEventListener("click", () => choose(name)); }
  };

  /* Who is followed at first: a real or the first rank change, the significant or widest crossover, else the best two. */
  const first = data.flips.find((f) => f[2]) || data.flips[0];
  const mean = (m) => (m.corrected + m.original) / 2;
  const weakest = models.reduce((a, b) => (mean(b) < mean(a) ? b : a), models[0]).name;
  const cross = data.crossovers.find((c) => c.significant) || data.crossovers.filter((c) => c.a === weakest).sort((a, b) => a.p - b.p || b.share - a.share)[0] || data.crossovers[0];
  for (const name of [...(cross ? [cross.a, cross.b] : []), ...(first ? [first[0], first[1]] : []), ...models.slice(0, cross ? 0 : 2).map((m) => m.name)]) if (!chosen.has(name)) chosen.set(name, chosen.size);

  const slope = () => {
    const holder = document.getElementById("slope"); holder.textContent = "";
    const n = models.length, step = n > 24 ? 19 : 25, width = 1080, top = 34, height = top + n * step + 10, left = 300, right = width - 300;
    const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "ranks with given and with corrected labels" }, holder);
    /* Equal ranks share a number; they are drawn below each other. */
    const place = (side) => { const order = [...models].sort((a, b) => a.rank[side] - b.rank[side] || models.indexOf(a) - models.indexOf(b)); return new Map(order.map((m, k) => [m.name, top + step * (k + 0.5)])); };
    const before = place("original"), after = place("corrected"), y = (rank) => top + step * (rank - 0.5);
    el("text", { x: left, y: 16, "text-anchor": "end" }, svg, "given labels"); el("text", { x: right, y: 16 }, svg, "corrected labels");
    const sorted = [...models].sort((a, b) => chosen.has(a.name) - chosen.has(b.name));
    for (const m of sorted) {
      const on = chosen.has(m.name), g = el("g", { tabindex: 0 }, svg), c = colour(m.name), a = before.get(m.name), b = after.get(m.name);
      if (on) for (const [side, x] of [["original", left + 12], ["corrected", right - 12]]) {
        const [low, high] = m.interval[side], shift = (side === "original" ? 1 : -1) * 7 * chosen.get(m.name);
        el("line", { x1: x + shift, x2: x + shift, y1: y(low) - 5, y2: y(high) + 5, stroke: c, "stroke-width": 3, "stroke-linecap": "round", opacity: 0.45 }, g);
      }
      el("path", { d: `M${left + 8} ${a} C${left + 170} ${a} ${right - 170} ${b} ${right - 8} ${b}`, fill: "none", stroke: c, "stroke-width": on ? 2.6 : 1.3 }, g);
      el("circle", { cx: left + 8, cy: a, r: on ? 4.5 : 3, fill: c }, g); el("circle", { cx: right - 8, cy: b, r: on ? 4.5 : 3, fill: c }, g);
      el("text", { x: left - 4, y: a + 4, "text-anchor": "end", class: on ? "name on" : "name" }, g, `${m.name}  ${pct(m.original)}  ${m.rank.original}`);
      el("text", { x: right + 4, y: b + 4, class: on ? "name on" : "name" }, g, `${m.rank.corrected}  ${pct(m.corrected)}  ${m.name}`);
      hint(g, [m.name, `given labels: rank ${m.rank.original} (possible ${m.interval.original.join(" to ")}), ${pct(m.original)}`, `corrected: rank ${m.rank.corrected} (possible ${m.interval.corrected.join(" to ")}), ${pct(m.corrected)}`], m.name);
      g.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(m.name); });
    }
  };

  let given = false, share = data.base;
  const range = document.getElementById("at"), holder = document.getElementById("curves");
  const grid = data.curves ? data.curves.prevalence : [];
  const value = (name, x) => { /* Straight in x between two points of the closed form, which is straight everywhere. */
    const line = data.curves.models[name][given ? "original" : "corrected"], k = grid.length - 1;
    return line[0] + (line[k] - line[0]) * (x - grid[0]) / (grid[k] - grid[0] || 1);
  };
  const curves = () => {
    if (!holder) return;
    holder.textContent = "";
    const width = 800, height = 430, left = 52, right = 786, top = 14, bottom = 384;
    const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "accuracy against prevalence" }, holder);
    const lx = (v) => left + (right - left) * (Math.log(v) - Math.log(grid[0])) / (Math.log(1) - Math.log(grid[0]) || 1);
    let low = 1, high = 0;
    for (const m of models) { const c = data.curves.models[m.name]; for (const v of [...c.corrected, ...c.original, ...(chosen.has(m.name) ? [...c.low, ...c.high] : [])]) { low = Math.min(low, v); high = Math.max(high, v); } }
    low = Math.max(0, Math.floor(low * 20) / 20); high = Math.min(1, Math.ceil(high * 20) / 20);
    const ly = (v) => bottom - (bottom - top) * (v - low) / (high - low || 1);
    const ticks = [0.01, 0.02, 0.05, 0.1, 0.2].find((t) => (high - low) / t <= 8) || 0.2;
    for (let v = Math.ceil(low / ticks - 1e-9) * ticks; v <= high + 1e-9; v += ticks) { el("line", { x1: left, x2: right, y1: ly(v), y2: ly(v), stroke: "var(--line)" }, svg); el("text", { x: left - 8, y: ly(v) + 4, "text-anchor": "end" }, svg, (100 * v).toFixed(0)); }
    for (const v of [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]) if (v > grid[0] * 1.25) { el("line", { x1: lx(v), x2: lx(v), y1: bottom, y2: bottom + 5, stroke: "var(--faint)" }, svg); el("text", { x: lx(v), y: bottom + 19, "text-anchor": "middle" }, svg, `${+(100 * v).toFixed(2)} %`); }
    el("text", { x: lx(grid[0]), y: bottom + 19, "text-anchor": "start" }, svg, `${+(100 * grid[0]).toPrecision(3)} %`);
    el("text", { x: (left + right) / 2, y: bottom + 40, "text-anchor": "middle" }, svg, "prevalence of corrected rows (logarithmic)");
    el("text", { x: 12, y: (top + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(top + bottom) / 2})` }, svg, "accuracy, %");
    const fine = []; for (let k = 0; k <= 120; k++) fine.push(Math.exp(Math.log(grid[0]) * (1 - k / 120)));
    for (const m of [...models].sort((a, b) => chosen.has(a.name) - chosen.has(b.name))) {
      const c = data.curves.models[m.name], on = chosen.has(m.name);
      if (on && !given) el("path", { d: "M" + grid.map((x, k) => `${lx(x)} ${ly(c.high[k])}`).join("L") + "L" + grid.map((x, k) => `${lx(x)} ${ly(c.low[k])}`).reverse().join("L") + "Z", fill: colour(m.name), opacity: 0.12 }, svg);
      const d = "M" + fine.map((x) => `${lx(x).toFixed(1)} ${ly(value(m.name, x)).toFixed(1)}`).join("L");
      el("path", { d, fill: "none", stroke: colour(m.name), "stroke-width": on ? 2.6 : 1.2 }, svg);
      hint(el("path", { d, fill: "none", stroke: "transparent", "stroke-width": 11 }, svg), [m.name, `today: ${pct(value(m.name, grid[0]))}`, `corrected rows alone: ${pct(value(m.name, 1), 1)}`], m.name);
    }
    if (!given) for (const c of data.crossovers) if (chosen.has(c.a) && chosen.has(c.b)) {
      const dot = el("circle", { cx: lx(c.x), cy: ly(value(c.a, c.x)), r: 5.5, fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 2 }, svg);
      const limits = c.low === null ? [] : [`95 % ${pct(c.low)} to ${pct(c.high)}, in ${pct(c.share, 0)} of resamples`];
      hint(dot, [`${c.a} overtakes ${c.b} at ${pct(c.x)}`, ...limits, c.significant ? "significant" : `not significant (p ${c.p.toFixed(3)} on corrected rows)`]);
    }
    el("line", { x1: lx(share), x2: lx(share), y1: top, y2: bottom, stroke: "var(--ink)", "stroke-dasharray": "4 4" }, svg);
    document.getElementById("says").textContent = pct(share, share < 0.1 ? 2 : 1);
    const list = document.getElementById("order"); list.textContent = "";
    [...models].map((m) => [m.name, value(m.name, share)]).sort((a, b) => b[1] - a[1]).forEach(([name, v], k) => {
      const row = document.createElement("li"); row.tabIndex = 0; row.className = chosen.has(name) ? "on" : "";
      for (const [text, c] of [[String(k + 1), ""], [name, colour(name)], [(100 * v).toFixed(2), ""]]) { const part = document.createElement("span"); part.textContent = text; if (c && chosen.has(name)) part.style.color = c; row.append(part); }
      row.addEventListener("click", () => choose(name)); row.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(name); });
      list.append(row);
    });
  };
  if (range) {
    range.addEventListener("input", () => { share = Math.exp(Math.log(grid[0]) * (1 - range.value / 1000)); curves(); });
    const button = document.getElementById("labels");
    button.addEventListener("click", () => { given = !given; button.setAttribute("aria-pressed", given); curves(); });
  }
  const draw = () => { slope(); curves(); };
  draw();
})();
