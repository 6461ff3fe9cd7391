// The last ten minutes of a label as a small curve: the highest probability in each column of a canvas.

import { now } from "./words.js";

const SPAN = 600;
const COLUMNS = 80;
const HEIGHT = 20;
const EACH = SPAN / COLUMNS;

const shades = { accent: "", muted: "", line: "" };

/** Reads the theme's colours; asked for again when the theme changes. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of Object.keys(shades)) shades[name] = style.getPropertyValue(`--${name}`).trim();
}

export class Spark {
  constructor(canvas) {
    this.canvas = canvas;
    canvas.width = COLUMNS * 2;
    canvas.height = HEIGHT * 2;
    this.columns = new Float32Array(COLUMNS).fill(-1);
    /** Number of the newest column since the epoch. */
    this.newest = 0;
    this.stale = true;
  }

  add(time, probability) {
    const column = Math.floor(time / EACH);
    this.forward(column);
    const behind = this.newest - column;
    if (behind >= COLUMNS) return;
    const at = COLUMNS - 1 - behind;
    if (probability > this.columns[at]) {
      this.columns[at] = probability;
      this.stale = true;
    }
  }

  forward(column) {
    const steps = column - this.newest;
    if (steps <= 0) return;
    const kept = Math.max(0, COLUMNS - steps);
    this.columns.copyWithin(0, COLUMNS - kept);
    this.columns.fill(-1, kept);
    this.newest = column;
    this.stale = true;
  }

  /** Draws, if there is anything new. */
  draw(threshold) {
    this.forward(Math.floor(now() / EACH));
    if (!this.stale && threshold === this.threshold && this.shade === shades.accent) return;
    Object.assign(this, { stale: false, threshold, shade: shades.accent });
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, COLUMNS * 2, HEIGHT * 2);
    this.curve(pen, threshold === null ? shades.muted : shades.accent);
    if (threshold !== null) this.level(pen, threshold);
  }

  curve(pen, colour) {
    const y = (p) => HEIGHT * 2 - 1 - p * (HEIGHT * 2 - 3);
    pen.beginPath();
    let open = false;
    this.columns.forEach((p, x) => {
      if (p < 0) open = false;
      else if (open) pen.lineTo(x * 2 + 1, y(p));
      else {
        pen.moveTo(x * 2, y(p));
        open = true;
      }
    });
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    pen.stroke();
  }

  level(pen, threshold) {
    pen.fillStyle = shades.line;
    pen.fillRect(0, HEIGHT * 2 - 1 - threshold * (HEIGHT * 2 - 3), COLUMNS * 2, 1);
  }
}
