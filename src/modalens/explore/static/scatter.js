// Points on a canvas, painted pixel by pixel: 65,536 of them in a few milliseconds. Drag, wheel, arrows and + − move it.

import { h, say } from "/dom.js";

export const rgb = (text) => {
  const value = parseInt(text.trim().slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
};
const pack = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
export const palette = (name) => rgb(getComputedStyle(document.documentElement).getPropertyValue(`--${name}`));
export const mix = (a, b, t) => a.map((value, i) => Math.round(value + (b[i] - value) * t));

export class Scatter {
  // points: { x, y } arrays in [-1, 1] (or [0, 1] with `frame`), describe(i) a line of text, open(i) what a click does.
  constructor(points, { label, describe, open, frame = false, height = 560 }) {
    this.points = points;
    this.describe = describe;
    this.open = open;
    this.frame = frame;
    this.scale = 1;
    this.middle = frame ? [0.5, 0.5] : [0, 0];
    this.span = frame ? 1.08 : 2.1;
    this.colours = new Uint32Array(points.x.length);
    this.hidden = new Uint8Array(points.x.length);
    this.at = -1;
    this.said = h("p", { class: "under-map", role: "status" }, "Point at a dot to see what it is.");
    this.canvas = h("canvas", { tabindex: "0", role: "application", "aria-label": `${label} Arrow keys move, plus and minus zoom, N and P walk over the dots in view, Enter opens.` });
    this.element = h("div", { class: "map-box" }, this.canvas, h("div", { class: "map-foot" }, this.said, h("div", { class: "zoom" }, this.button("+", "Zoom in", () => this.zoom(1.5)), this.button("−", "Zoom out", () => this.zoom(1 / 1.5)), this.button("Whole", "Show everything", () => this.whole()))));
    this.height = height;
    this.listen();
  }

  button(text, label, press) {
    return h("button", { type: "button", "aria-label": label, onclick: press }, text);
  }

  start() {
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.canvas);
    this.draw();
  }

  colour(of) {
    for (let i = 0; i < this.colours.length; i++) {
      const found = of(i);
      this.hidden[i] = found ? 0 : 1;
      if (found) this.colours[i] = pack(found);
    }
    this.later();
  }

  whole() {
    this.scale = 1;
    this.middle = this.frame ? [0.5, 0.5] : [0, 0];
    this.later();
  }

  zoom(by, at = this.middle) {
    const before = this.scale;
    this.scale = Math.min(400, Math.max(0.8, this.scale * by));
    const t = 1 - before / this.scale;
    this.middle = [this.middle[0] + (at[0] - this.middle[0]) * t, this.middle[1] + (at[1] - this.middle[1]) * t];
    this.later();
  }

  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  draw() {
    const box = this.canvas.getBoundingClientRect();
    if (!box.width) return;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(box.width * ratio);
    const height = Math.round(box.height * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.image = null;
    }
    const context = this.canvas.getContext("2d");
    this.image ||= context.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer);
    pixels.fill(0);
    const unit = (Math.min(width, height) / this.span) * this.scale;
    this.unit = unit / ratio;
    if (this.frame) this.lines(pixels, width, height, unit);
    const n = this.points.x.length;
    const base = n > 20000 ? 1.1 : n > 3000 ? 1.6 : n > 600 ? 2.4 : 3.4;
    const radius = Math.min(7, base * Math.pow(this.scale, 0.35)) * ratio;
    const disc = this.disc(radius);
    for (let i = 0; i < n; i++) if (!this.hidden[i]) this.spot(pixels, width, height, unit, i, disc, this.colours[i]);
    if (this.at >= 0) this.spot(pixels, width, height, unit, this.at, this.disc(radius + 3 * ratio), pack(palette("ink")));
    if (this.at >= 0) this.spot(pixels, width, height, unit, this.at, disc, this.colours[this.at]);
    context.putImageData(this.image, 0, 0);
  }

  disc(radius) {
    const found = [];
    const most = Math.ceil(radius);
    for (let y = -most; y <= most; y++) for (let x = -most; x <= most; x++) if (x * x + y * y <= radius * radius) found.push([x, y]);
    return found;
  }

  spot(pixels, width, height, unit, i, disc, colour) {
    const cx = Math.round(width / 2 + (this.points.x[i] - this.middle[0]) * unit);
    const cy = Math.round(height / 2 - (this.points.y[i] - this.middle[1]) * unit);
    if (cx < -9 || cy < -9 || cx > width + 9 || cy > height + 9) return;
    for (let k = 0; k < disc.length; k++) {
      const x = cx + disc[k][0];
      const y = cy + disc[k][1];
      if (x >= 0 && y >= 0 && x < width && y < height) pixels[y * width + x] = colour;
    }
  }

  lines(pixels, width, height, unit) {
    const colour = pack(palette("line"));
    for (const value of [0, 1 / 3, 2 / 3, 1]) {
      const x = Math.round(width / 2 + (value - this.middle[0]) * unit);
      const y = Math.round(height / 2 - (value - this.middle[1]) * unit);
      if (x >= 0 && x < width) for (let k = 0; k < height; k++) pixels[k * width + x] = colour;
      if (y >= 0 && y < height) for (let k = 0; k < width; k++) pixels[y * width + k] = colour;
    }
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [this.middle[0] + (event.clientX - box.left - box.width / 2) / this.unit, this.middle[1] - (event.clientY - box.top - box.height / 2) / this.unit];
  }

  nearest([x, y], within = 14 / this.unit) {
    let best = -1;
    let least = within * within;
    for (let i = 0; i < this.points.x.length; i++) {
      if (this.hidden[i]) continue;
      const far = (this.points.x[i] - x) ** 2 + (this.points.y[i] - y) ** 2;
      if (far < least) [least, best] = [far, i];
    }
    return best;
  }

  mark(i) {
    if (i === this.at) return;
    this.at = i;
    this.said.textContent = i < 0 ? "Point at a dot to see what it is." : this.describe(i);
    this.canvas.style.cursor = i < 0 ? "grab" : "pointer";
    this.later();
  }

  walk(by) {
    const box = this.canvas.getBoundingClientRect();
    const [w, t] = [box.width / 2 / this.unit, box.height / 2 / this.unit];
    const n = this.points.x.length;
    for (let k = 1; k <= n; k++) {
      const i = (((this.at < 0 ? (by > 0 ? -1 : 0) : this.at) + by * k) % n + n) % n;
      if (!this.hidden[i] && Math.abs(this.points.x[i] - this.middle[0]) < w && Math.abs(this.points.y[i] - this.middle[1]) < t) {
        this.mark(i);
        say(this.describe(i));
        return;
      }
    }
  }

  listen() {
    const canvas = this.canvas;
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return this.mark(this.nearest(this.place(event)));
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      if (!held.moved && Math.hypot(dx, dy) < 4) return undefined;
      held = { x: event.clientX, y: event.clientY, moved: true };
      this.middle = [this.middle[0] - dx / this.unit, this.middle[1] + dy / this.unit];
      this.later();
      return undefined;
    });
    canvas.addEventListener("pointerup", (event) => {
      if (held && !held.moved) {
        const i = this.nearest(this.place(event));
        if (i >= 0 && (event.pointerType !== "touch" || i === this.at)) this.open(i);
        else this.mark(i);
      }
      held = null;
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), this.place(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const by = 0.1 * (this.span / this.scale);
      const moves = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, by], ArrowDown: [0, -by] };
      if (moves[event.key]) this.middle = [this.middle[0] + moves[event.key][0], this.middle[1] + moves[event.key][1]];
      else if (event.key === "+" || event.key === "=") this.zoom(1.5);
      else if (event.key === "-") this.zoom(1 / 1.5);
      else if (event.key.toLowerCase() === "n") this.walk(1);
      else if (event.key.toLowerCase() === "p") this.walk(-1);
      else if (event.key === "Enter" && this.at >= 0) this.open(this.at);
      else return;
      event.preventDefault();
      this.later();
    });
  }
}
