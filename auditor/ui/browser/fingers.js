// Fingers, or the mouse, on a picture or a map: one moves it, two bring it nearer where they are.

// The middle of the first two places, and how far these are from each other.
const grip = ([a, b = a]) => ({ x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, apart: Math.hypot(a[0] - b[0], a[1] - b[1]) });

export class Fingers {
  constructor() { this.places = new Map(); } // by the pointer's id, in the order they came down

  get count() { return this.places.size; }

  down(id, place) { this.places.set(id, place); }

  // Whether it was there.
  up(id) { return this.places.delete(id); }

  // What it means that a finger is at `place` now: what is under them gets nearer by `factor` about (x, y), and is moved by
  // (dx, dy) then; null for a finger that is not down.
  move(id, place) {
    if (!this.places.has(id)) return null;
    const before = grip([...this.places.values()]);
    this.places.set(id, place);
    const after = grip([...this.places.values()]);
    return { factor: before.apart && after.apart ? after.apart / before.apart : 1, x: before.x, y: before.y, dx: after.x - before.x, dy: after.y - before.y };
  }
}
