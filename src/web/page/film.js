// The frames under a curve: in each part of the span the one where the label was most probable.

import { el, mark } from "./dom.js";
import { dialog } from "./notice.js";
import { moment, share, tick } from "./words.js";

const EACH = 108;

/** One thumbnail, which grows when it is clicked; `brief` stands under it. */
export function thumbnail(src, words, brief = words) {
  const image = el("img", { src, alt: brief === words ? "" : words, loading: "lazy", decoding: "async" });
  const box = el("button", { type: "button", class: "thumb", onclick: () => enlarge(src, words) }, image);
  box.append(el("span", { text: brief }));
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "none", text: "not kept" })));
  return box;
}

export function enlarge(src, words) {
  dialog(words, el("div", { class: "shot large" }, el("img", { src, alt: words })));
}

/** Fills `strip` with what is kept of a chart's points, and hides it where nothing is. */
export function film(strip, camera, { points, since, until }, label) {
  const kept = points.filter(({ picture }) => picture !== null);
  mark(strip, "hidden", kept.length === 0);
  const count = Math.max(3, Math.floor(strip.clientWidth / EACH));
  const best = new Array(count).fill(null);
  for (const point of kept) {
    const slot = Math.min(count - 1, Math.floor(((point.time - since) / (until - since)) * count));
    const p = point.probabilities[label];
    if (!best[slot] || p > best[slot].probabilities[label]) best[slot] = point;
  }
  strip.replaceChildren(...best.map((point) => (point ? shot(camera, point, label, until - since) : el("span", { class: "gap" }))));
}

function shot(camera, { time, probabilities, picture }, label, length) {
  const p = share(probabilities[label]);
  return thumbnail(picture, `${camera}, ${moment(time)}: ${label} ${p}`, `${p} · ${tick(time, length)}`);
}
