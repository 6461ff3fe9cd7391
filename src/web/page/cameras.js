// The cameras' grid. Only cards on the screen are kept up to date; the others catch up when they come.

import { Card, troubleOf } from "./card.js";
import { choice, el, mark, say } from "./dom.js";
import { on, store } from "./store.js";
import { readColours } from "./spark.js";

/** From so many cameras on the cards begin small. */
const MANY = 9;

const cards = new Map();
const dirty = new Set();
let grid, count, search, only, size;
let asked = false;

/** Ids of cards on their way in or out of the screen. */
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) seen(cards.get(target.dataset.camera), isIntersecting);
  },
  { rootMargin: "60px" },
);

export function camerasView() {
  grid = el("div", { class: "grid" });
  count = el("span", { class: "count" });
  search = el("input", { type: "search", placeholder: "name", oninput: sift, "aria-label": "cameras by name" });
  const states = [["all", "all"], ["on", "on now"], ["trouble", "with trouble"]];
  only = choice("Show", states, { onchange: sift });
  size = choice("Size", [["large", "large"], ["small", "small"]], { onchange: resize });
  const tools = el("div", { class: "tools" }, count, search, only.field, size.field);
  on("cameras", changed);
  on("removed", removed);
  on("event", noted);
  on("link", (up) => up && recallAll());
  on("trouble", () => {
    only.select.value = "trouble";
    sift();
  });
  setInterval(tick, 1000);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
  readColours();
  return el("section", { class: "cameras" }, tools, grid);
}

function changed(ids) {
  for (const id of ids) {
    if (!cards.has(id)) add(id);
    cards.get(id).remember();
    dirty.add(id);
  }
  if (asked) return;
  asked = true;
  requestAnimationFrame(refresh);
}

function add(id) {
  const card = new Card(store.cameras.get(id));
  cards.set(id, card);
  card.update();
  grid.append(card.root);
  watcher.observe(card.root);
  if (!size.chosen && cards.size === MANY) resize("small");
}

function removed(ids) {
  for (const id of ids) {
    const card = cards.get(id);
    if (!card) continue;
    watcher.unobserve(card.root);
    card.remove();
    cards.delete(id);
    dirty.delete(id);
  }
  sift();
}

function refresh() {
  asked = false;
  const began = performance.now();
  for (const id of dirty) {
    const card = cards.get(id);
    if (!card.visible) continue;
    card.update();
    card.draw();
    dirty.delete(id);
  }
  sift();
  performance.measure("seewhen update", { start: began });
}

function seen(card, visible) {
  if (!card) return;
  card.visible = visible;
  if (!visible) return;
  card.update();
  card.draw();
  if (!card.recalled) card.recall();
}

/** A short stay may fall between two messages; its event tells of its height. */
function noted(event) {
  const row = cards.get(event.camera)?.rows.get(`${event.watch}/${event.label}`);
  row?.remember(event.frame_time, event.probability);
  if (event.type === "start") row?.remember(event.start_time, event.top_probability);
}

function recallAll() {
  for (const card of cards.values()) {
    card.recalled = false;
    if (card.visible) card.recall();
  }
}

function tick() {
  if (document.hidden) return;
  for (const card of cards.values()) if (card.visible) card.tick();
}

const isOn = (camera) => camera.watches.some(({ labels }) => labels.some(({ state }) => state === "ON"));

/** Hides the cards that were not asked for. */
function sift() {
  const name = search.value.trim().toLowerCase();
  const which = { all: () => true, on: isOn, trouble: (camera) => troubleOf(camera) !== null }[only.select.value];
  let shown = 0;
  for (const card of cards.values()) {
    const fits = card.id.toLowerCase().includes(name) && which(card.camera);
    mark(card.root, "hidden", !fits);
    shown += fits;
  }
  const all = cards.size;
  say(count, shown === all ? `${all} camera${all === 1 ? "" : "s"}` : `${shown} of ${all} cameras`);
}

function resize(to) {
  if (typeof to === "string") size.select.value = to;
  else size.chosen = true;
  grid.classList.toggle("small", size.select.value === "small");
}
