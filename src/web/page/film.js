// The frames under a curve: in each part of the span the one where the label was most probable.

import { el, mark } from "./dom.js";
import { dialog } from "./notice.js";
import { teachRow } from "./teach.js";
import { moment, share, tick } from "./words.js";

const EACH = 108;

/**
 * One thumbnail, which grows when it is clicked; `brief` stands under it. Without a `src` it is a frame whose picture
 * was not kept. `frame`, {camera, time, key}, can be taught then: see `enlarge`.
 */
export function thumbnail(src, words, brief = words, frame = null) {
  const under = el("span", { text: brief });
  if (!src) return el("span", { class: "thumb" }, el("span", { class: "none", text: "no picture kept" }), under);
  const image = el("img", { src, alt: brief === words ? "" : words, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "none", text: "not kept" })));
  return el("button", { type: "button", class: "thumb", onclick: () => enlarge(src, words, frame) }, image, under);
}

/** A frame, large; a label can be taught with it, `key` or one that is chosen. */
export function enlarge(src, words, frame = null) {
  const shown = src ? el("img", { src, alt: words }) : el("span", { class: "none", text: "no picture kept" });
  const row = frame && teachRow({ camera: frame.camera, key: frame.key, times: () => [frame.time], about: words });
  dialog(words, el("div", { class: "shot large" }, shown), ...(row ? [row] : []));
}

/**
 * Fills `strip` with what is kept of a chart's points, and hides it where nothing is. Without a `key`, `watch/label`,
 * the label that they teach is chosen.
 */
export function film(strip, camera, { points, since, until }, label, key = null) {
  const kept = points.filter(({ picture }) => picture !== null);
  mark(strip, "hidden", kept.length === 0);
  const count = Math.max(3, Math.floor(strip.clientWidth / EACH));
  const best = new Array(count).fill(null);
  for (const point of kept) {
    const slot = Math.min(count - 1, Math.floor(((point.time - since) / (until - since)) * count));
    const p = point.probabilities[label];
    if (!best[slot] || p > best[slot].probabilities[label]) best[slot] = point;
  }
  strip.replaceChildren(...best.map((point) => (point ? shot(camera, point, label, until - since, key) : el("span", { class: "gap" }))));
}

function shot(camera, { time, probabilities, picture }, label, length, key) {
  const p = share(probabilities[label]);
  const words = frameWords(camera, time, label, p);
  return thumbnail(picture, words, `${p} · ${tick(time, length)}`, { camera, time, key });
}

const frameWords = (camera, time, label, p) => `${camera}, ${moment(time)}: ${label} ${p}`;

/** The frame of a point of a curve, large. */
export function enlargePoint(camera, { time, probabilities, picture }, label) {
  enlarge(picture, frameWords(camera, time, label, share(probabilities[label])), { camera, time });
}
