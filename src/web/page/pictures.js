// The cameras' newest pictures: those that are seen and out of date, in turn, a few a second in all.

import { mark } from "./dom.js";
import { paths, picture } from "./net.js";
import { store } from "./store.js";

/** Pictures a second, whatever the number of cameras. */
const RATE = 3;
const MOST_AT_ONCE = 2;
const WIDTHS = [160, 320, 480, 640, 960, 1280];

/** The element around an image → {id, image, shown: frame time, asked: when last, visible}. */
const frames = new Map();
let loading = 0;

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const frame = frames.get(target);
    if (frame) frame.visible = isIntersecting;
  }
});

/** Keeps `image`, which lies in `around`, at the newest frame of a camera. */
export function follow(around, image, id) {
  frames.set(around, { id, image, shown: null, asked: 0, visible: false });
  watcher.observe(around);
}

export function unfollow(around) {
  watcher.unobserve(around);
  URL.revokeObjectURL(frames.get(around)?.image.src);
  frames.delete(around);
}

/** When the frame that is shown was taken, or null. */
export const shownAt = (around) => frames.get(around)?.shown ?? null;

function next() {
  let best = null;
  for (const frame of frames.values()) {
    const time = store.cameras.get(frame.id)?.frame_time ?? null;
    if (!frame.visible || time === null || time === frame.shown) continue;
    if (!best || frame.asked < best.frame.asked) best = { frame, time };
  }
  return best;
}

function width(image) {
  const wanted = image.parentElement.clientWidth * Math.min(window.devicePixelRatio, 2);
  return WIDTHS.find((known) => known >= wanted) ?? WIDTHS.at(-1);
}

async function load({ frame, time }) {
  frame.asked = performance.now();
  loading += 1;
  try {
    show(frame, await picture(`${paths.camera(frame.id, "picture.jpg")}?width=${width(frame.image)}`));
    frame.shown = time;
  } catch {
    // None yet, or no connection; its turn comes again.
  } finally {
    loading -= 1;
  }
}

function show(frame, blob) {
  const old = frame.image.src;
  frame.image.src = URL.createObjectURL(blob);
  mark(frame.image, "hidden", false);
  if (old) URL.revokeObjectURL(old);
}

setInterval(() => {
  if (document.hidden || loading >= MOST_AT_ONCE) return;
  const found = next();
  if (found) load(found);
}, 1000 / RATE);
