// The plane of the map, without a browser: where points stand on the screen, which is under the pointer, which a lasso
// holds. Points have whole coordinates of 16 bits, x and y in turn; here the plane is 0 to 1 on each side, y upwards.

export const SIDE = 65535;
const MOST_ZOOM = 4000; // then points a 65,535th apart have a pixel or more between them on any screen

// What is shown: the place at the middle of the screen, and pixels for the whole side of the plane.
export class View {
  constructor() { this.width = this.height = 1; this.fit(); }

  resize(width, height) {
    const grown = Math.min(width, height) / Math.min(this.width, this.height);
    this.width = width;
    this.height = height;
    this.pixels *= grown;
  }

  get least() { return 0.94 * Math.min(this.width, this.height); }

  fit() {
    this.x = this.y = 0.5;
    this.pixels = this.least;
  }

  // Nearer by `factor`; what is at the screen's (sx, sy) stays there.
  zoom(factor, sx = this.width / 2, sy = this.height / 2) {
    const [x, y] = this.toPlane(sx, sy);
    this.pixels = Math.min(Math.max(this.pixels * factor, this.least / 2), this.least * MOST_ZOOM);
    const [nowX, nowY] = this.toPlane(sx, sy);
    this.move(x - nowX, y - nowY);
  }

  // By pixels of the screen, as the content follows a finger.
  pan(dx, dy) { this.move(-dx / this.pixels, dy / this.pixels); }

  move(dx, dy) {
    this.x = Math.min(Math.max(this.x + dx, 0), 1);
    this.y = Math.min(Math.max(this.y + dy, 0), 1);
  }

  toScreen(x, y) { return [(x - this.x) * this.pixels + this.width / 2, this.height / 2 - (y - this.y) * this.pixels]; }

  toPlane(sx, sy) { return [(sx - this.width / 2) / this.pixels + this.x, (this.height / 2 - sy) / this.pixels + this.y]; }

  place() { return { x: this.x, y: this.y, pixels: this.pixels }; }

  // How a picture that was drawn at another place is moved (CSS, about its middle) to show what is shown now.
  since({ x, y, pixels }) {
    return `translate(${(x - this.x) * this.pixels}px, ${(this.y - y) * this.pixels}px) scale(${this.pixels / pixels})`;
  }

  // The rectangle that is shown, as a lasso.
  frame() { return [[0, 0], [this.width, 0], [this.width, this.height], [0, this.height]].map(([x, y]) => this.toPlane(x, y)); }
}

// Whether (x, y) is inside a polygon, by the number of its sides to the right of it.
export function inside(polygon, x, y) {
  let odd = false;
  for (let k = 0, last = polygon.length - 1; k < polygon.length; last = k++) {
    const [ax, ay] = polygon[k], [bx, by] = polygon[last];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

// Points by the cell of a grid they are in, so that the pointer looks at a few of them and not at all.
export class Buckets {
  constructor(places, cells = 256) {
    this.places = places;
    this.cells = cells;
    const n = places.length / 2;
    const cell = new Uint32Array(n);
    this.starts = new Uint32Array(cells * cells + 1);
    for (let k = 0; k < n; k++) {
      cell[k] = this.at(places[2 * k + 1]) * cells + this.at(places[2 * k]);
      this.starts[cell[k] + 1]++;
    }
    for (let c = 0; c < cells * cells; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice(0, -1);
    this.points = new Uint32Array(n);
    for (let k = 0; k < n; k++) this.points[next[cell[k]]++] = k;
  }

  at(coordinate) { return Math.min(Math.max(Math.floor((coordinate * this.cells) / (SIDE + 1)), 0), this.cells - 1); }

  // Each point of the cells that a rectangle of the plane touches.
  *around(x0, y0, x1, y1) {
    const [left, right] = [this.at(x0 * SIDE), this.at(x1 * SIDE)];
    for (let row = this.at(y0 * SIDE); row <= this.at(y1 * SIDE); row++) {
      const end = this.starts[row * this.cells + right + 1];
      for (let k = this.starts[row * this.cells + left]; k < end; k++) yield this.points[k];
    }
  }

  // The point nearest to (x, y) within `radius`; -1 where there is none. The later one of two in the same place: it is drawn above.
  nearest(x, y, radius, counts = () => true) {
    let best = -1, least = radius * radius;
    for (const k of this.around(x - radius, y - radius, x + radius, y + radius)) {
      const dx = this.places[2 * k] / SIDE - x, dy = this.places[2 * k + 1] / SIDE - y;
      const square = dx * dx + dy * dy;
      if ((square < least || (square === least && k > best)) && counts(k)) { best = k; least = square; }
    }
    return best;
  }

  // The points inside a polygon of the plane, ascending.
  inside(polygon, counts = () => true) {
    if (polygon.length < 3) return new Uint32Array(0);
    const xs = polygon.map(([x]) => x), ys = polygon.map(([, y]) => y);
    const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    const held = [];
    for (const k of this.around(...box)) {
      const x = this.places[2 * k] / SIDE, y = this.places[2 * k + 1] / SIDE;
      if (x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3] && inside(polygon, x, y) && counts(k)) held.push(k);
    }
    return Uint32Array.from(held).sort();
  }
}
