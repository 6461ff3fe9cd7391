// A curve of probabilities over time: axes, lines, a threshold that is dragged, spans that are marked.

import { el, mark, say, svg } from "./dom.js";
import { slider } from "./threshold.js";
import { moment, share, tick } from "./words.js";

const HEIGHT = 200;
const LEFT = 30;
const BOTTOM = 20;
const TOP = 8;
/** Points further apart than so many steps are not joined. */
const GAP = 3;

export class Chart {
  /**
   * `threshold(p)` hears of a threshold that was dragged; `span(from, to)` of a span that was drawn;
   * `point(point)` of the point that was clicked.
   */
  constructor({ threshold = null, span = null, point = null }) {
    Object.assign(this, { onSpan: span, points: [], series: [], spans: [], level: null });
    this.drawing = svg("svg", { class: "drawing", role: "img" });
    this.readout = el("p", { class: "readout", "aria-live": "off" });
    this.plot = el("div", { class: "plot" }, this.drawing);
    this.root = el("div", { class: "chart" }, this.plot, this.readout);
    if (threshold) this.withThreshold(threshold);
    this.drawing.addEventListener("pointermove", (event) => this.pointed(event));
    this.drawing.addEventListener("pointerleave", () => this.pointedAt(null));
    if (span) this.withSpans();
    if (point) this.drawing.addEventListener("click", (event) => this.points.length && point(this.nearest(event)));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  withThreshold(chosen) {
    this.track = el("div", { class: "track" });
    this.line = el("span", { class: "line" });
    const show = (p) => {
      this.line.style.bottom = this.slider.handle.style.bottom = `${p * 100}%`;
      say(this.slider.handle, p.toFixed(2));
    };
    const done = (p) => {
      this.setThreshold(p);
      chosen(p);
    };
    this.slider = slider(this.track, "threshold over the curve", { show, done, upright: true });
    this.track.append(this.line, this.slider.handle);
    this.plot.append(this.track);
  }

  setThreshold(p) {
    this.level = p;
    this.slider.set(p);
  }

  /** What `lookBack` gives; `series` are label ids, the first one stands out. */
  show({ points, since, until, step }, series) {
    Object.assign(this, { points, series, since, until, step });
    this.draw();
  }

  get width() {
    return this.plot.clientWidth - LEFT;
  }

  x(time) {
    return LEFT + ((time - this.since) / (this.until - this.since)) * this.width;
  }

  time(x) {
    return this.since + ((x - LEFT) / this.width) * (this.until - this.since);
  }

  y(p) {
    return TOP + (1 - p) * (HEIGHT - TOP - BOTTOM);
  }

  draw() {
    if (this.since === undefined || this.plot.clientWidth === 0) return;
    mark(this.drawing, "viewBox", `0 0 ${this.plot.clientWidth} ${HEIGHT}`);
    this.cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    const others = this.series.slice(1).map((id) => svg("path", { class: "other", d: this.path(id) }));
    const first = this.series.slice(0, 1).map((id) => svg("path", { class: "first", d: this.path(id) }));
    const spans = this.spans.map(([from, to]) => this.rectangle(from, to));
    this.drawing.replaceChildren(...spans, ...this.grid(), ...others, ...first, this.cursor);
    const high = Math.max(0, ...this.points.map((point) => point.probabilities[this.series[0]] ?? 0));
    mark(this.drawing, "aria-label", `curve of ${this.series[0]}, at most ${share(high)}`);
  }

  path(id) {
    let last = -Infinity;
    let d = "";
    for (const { time, probabilities } of this.points) {
      const p = probabilities[id];
      if (p === undefined) continue;
      d += `${time - last > GAP * this.step + 2 ? "M" : "L"}${this.x(time).toFixed(1)} ${this.y(p).toFixed(1)}`;
      last = time;
    }
    return d;
  }

  grid() {
    const parts = [];
    for (const p of [0, 0.5, 1]) {
      parts.push(svg("line", { class: "grid-line", x1: LEFT, x2: LEFT + this.width, y1: this.y(p), y2: this.y(p) }));
      parts.push(svg("text", { x: LEFT - 6, y: this.y(p) + 4, "text-anchor": "end", text: String(p) }));
    }
    const length = this.until - this.since;
    const count = Math.max(2, Math.floor(this.width / 130));
    for (let i = 0; i <= count; i++) {
      const time = this.since + (length * i) / count;
      const anchor = i === 0 ? "start" : i === count ? "end" : "middle";
      parts.push(svg("text", { x: this.x(time), y: HEIGHT - 4, "text-anchor": anchor, text: tick(time, length) }));
    }
    return parts;
  }

  rectangle(from, to) {
    const [x, end] = [this.x(Math.max(from, this.since)), this.x(Math.min(to, this.until))];
    return svg("rect", { class: "span", x, width: Math.max(2, end - x), y: TOP, height: HEIGHT - TOP - BOTTOM });
  }

  setSpans(spans) {
    this.spans = spans;
    this.draw();
  }

  at(event) {
    const edge = this.drawing.getBoundingClientRect();
    return this.time(Math.min(edge.width, Math.max(LEFT, event.clientX - edge.left)));
  }

  pointed(event) {
    if (this.points.length) this.pointedAt(this.nearest(event));
  }

  /** The point nearest to the pointer. */
  nearest(event) {
    const time = this.at(event);
    const distance = (point) => Math.abs(point.time - time);
    return this.points.reduce((best, point) => (distance(point) < distance(best) ? point : best));
  }

  pointedAt(point) {
    if (this.cursor) mark(this.cursor, "visibility", point ? "visible" : "hidden");
    if (point) {
      const x = this.x(point.time);
      mark(this.cursor, "x1", x);
      mark(this.cursor, "x2", x);
      const of = this.series.map((id) => `${id} ${share(point.probabilities[id])}`);
      say(this.readout, `${moment(point.time)}: ${of.join(", ")}`);
    }
  }

  withSpans() {
    this.drawing.classList.add("marks");
    this.drawing.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.since === undefined) return;
      event.preventDefault();
      this.drawing.setPointerCapture(event.pointerId);
      const start = this.at(event);
      const between = (event) => [Math.min(start, this.at(event)), Math.max(start, this.at(event))];
      const kept = this.spans;
      const follow = (event) => this.setSpans([...kept, between(event)]);
      const end = (event) => {
        this.drawing.removeEventListener("pointermove", follow);
        this.setSpans(kept);
        if (event.type === "pointerup") this.onSpan(...between(event));
      };
      this.drawing.addEventListener("pointermove", follow);
      this.drawing.addEventListener("pointerup", end, { once: true });
      this.drawing.addEventListener("pointercancel", end, { once: true });
    });
  }
}

/** How often an event would have started: rises over the threshold. */
export function rises(points, label, threshold) {
  let above = false;
  let count = 0;
  for (const { probabilities } of points) {
    const p = probabilities[label] ?? 0;
    if (!above && p >= threshold) count += 1;
    above = p >= threshold;
  }
  return count;
}
