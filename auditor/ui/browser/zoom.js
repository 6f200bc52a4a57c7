// A picture looked at closely: the wheel zooms where the pointer is, two fingers where they are, dragging moves; by keys from
// the middle.

import { Fingers } from "./fingers.js";

export const MOST = 32;
export const whole = Object.freeze({ scale: 1, x: 0, y: 0 });

// The picture always fills its box of w x h.
const within = (view, w, h) => {
  const inside = (value, size) => Math.min(0, Math.max(size * (1 - view.scale), value));
  return { ...view, x: inside(view.x, w), y: inside(view.y, h) };
};

// About the point (px, py) of the box, which stays where it is.
export const zoomed = (view, factor, px, py, w, h) => {
  const scale = Math.min(MOST, Math.max(1, view.scale * factor));
  const k = scale / view.scale;
  return within({ scale, x: px - (px - view.x) * k, y: py - (py - view.y) * k }, w, h);
};

export const moved = (view, dx, dy, w, h) => within({ ...view, x: view.x + dx, y: view.y + dy }, w, h);

export class Zoom {
  // `closer` is called when the picture is first made larger than its place.
  constructor(box, image, closer) {
    Object.assign(this, { box, image, closer, view: whole });
    box.addEventListener("wheel", (event) => {
      if (this.view.scale === 1 && event.deltaY > 0) return; // the page scrolls
      event.preventDefault();
      this.by(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event);
    }, { passive: false });
    box.addEventListener("dblclick", (event) => (this.view.scale > 1 ? this.reset() : this.by(4, event)));
    const fingers = new Fingers();
    box.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      fingers.down(event.pointerId, this.at(event));
      box.setPointerCapture(event.pointerId);
    });
    box.addEventListener("pointermove", (event) => {
      const step = fingers.move(event.pointerId, this.at(event));
      if (!step) return;
      const { width, height } = box.getBoundingClientRect();
      this.show(moved(zoomed(this.view, step.factor, step.x, step.y, width, height), step.dx, step.dy, width, height));
    });
    for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, (event) => { fingers.up(event.pointerId); });
    // One finger scrolls the page while the picture is whole; two are never the page's.
    box.addEventListener("touchmove", (event) => { if (event.touches.length > 1) event.preventDefault(); }, { passive: false });
  }

  // Where an event is in the box.
  at(event) {
    const { left, top } = this.box.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  by(factor, event) {
    const { width, height } = this.box.getBoundingClientRect();
    const [px, py] = event ? this.at(event) : [width / 2, height / 2];
    this.show(zoomed(this.view, factor, px, py, width, height));
  }

  move(dx, dy) {
    const { width, height } = this.box.getBoundingClientRect();
    this.show(moved(this.view, dx, dy, width, height));
  }

  reset() { this.show(whole); }

  show(view) {
    this.view = view;
    this.image.style.transform = view.scale === 1 ? "" : `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    this.box.classList.toggle("zoomed", view.scale > 1);
    if (view.scale > 1 && this.closer) { this.closer(); this.closer = null; }
  }
}
