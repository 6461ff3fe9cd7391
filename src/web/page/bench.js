// The prompt bench: prompts are typed, and scored at once on every camera's newest frame.

import { calm, choice, el, offer, say } from "./dom.js";
import { post } from "./net.js";
import { pastPanel } from "./past.js";
import { follow, unfollow } from "./pictures.js";
import { Prompts } from "./prompts.js";
import { on, watches } from "./store.js";
import { share, span, now } from "./words.js";
import { bars } from "./why.js";

const TYPING = 400;
const AGAIN = 2000;

export function benchView() {
  const bench = new Bench();
  on("cameras", () => bench.options());
  on("removed", () => bench.options());
  setInterval(() => bench.again(), AGAIN);
  return bench.root;
}

class Bench {
  constructor() {
    const changed = calm(TYPING, () => this.changed());
    this.prompts = new Prompts(changed);
    this.watch = choice("Beside the labels of", [["", "nothing else"]], { onchange: () => this.changed() });
    this.said = el("p", { class: "said", role: "status", text: "Type what to look for." });
    this.advice = el("ul", { class: "advice" });
    this.results = el("div", { class: "results" });
    this.past = pastPanel(() => this.question());
    this.cards = new Map();
    const left = el("div", { class: "bench-form" }, this.prompts.root, this.watch.field, this.advice);
    const right = el("div", { class: "bench-now" }, el("h2", { text: "On the newest frames" }), this.said, this.results);
    this.root = el("section", { class: "bench" }, el("div", { class: "bench-top" }, left, right), this.past.root);
  }

  options() {
    const first = this.watch.select.options.length === 1;
    const found = [...watches().keys()];
    offer(this.watch.select, [["", "nothing else"], ...found.map((id) => [id, id])]);
    if (first && found.length) this.watch.select.value = found[0];
    this.past.options();
  }

  /** What is asked of the server; null while nothing is typed. */
  question() {
    const labels = this.prompts.labels();
    if (labels.length === 0) return null;
    const watch = this.watch.select.value;
    return watch ? { labels, watch } : { labels };
  }

  changed() {
    this.past.changed();
    this.ask();
  }

  /** The frames go on while nobody types. */
  again() {
    const shown = this.root.offsetParent !== null && !document.hidden;
    if (shown && !this.asking && this.question()) this.ask();
  }

  async ask() {
    const question = this.question();
    this.asking?.abort();
    this.asking = null;
    if (!question) {
      this.results.replaceChildren();
      this.keep(new Set());
      this.advise([]);
      return say(this.said, "Type what to look for.");
    }
    const asking = (this.asking = new AbortController());
    try {
      this.show(await post("/api/prompts", question, asking.signal), question);
    } catch (error) {
      if (error.name !== "AbortError") say(this.said, error.message);
    } finally {
      if (this.asking === asking) this.asking = null;
    }
  }

  show({ model, advice, cameras }, { labels, watch }) {
    const alone = labels.length === 1 && !watch;
    const hint = "A label alone has all the probability: say what else may be seen, or choose a watch.";
    this.advise(alone ? [hint, ...advice] : advice);
    say(this.said, cameras.length ? `by ${model}` : "No camera has a frame yet.");
    const ordered = this.sort(cameras, labels);
    this.keep(new Set(ordered.map(({ camera }) => camera)));
    const roots = ordered.map((found) => this.card(found, labels[0].label));
    const shown = [...this.results.children];
    if (roots.length !== shown.length || roots.some((root, i) => root !== shown[i])) this.results.replaceChildren(...roots);
  }

  advise(texts) {
    const key = JSON.stringify(texts);
    if (this.advice.dataset.shown === key) return;
    this.advice.dataset.shown = key;
    this.advice.replaceChildren(...texts.map((text) => el("li", { text })));
  }

  /** The best first, as it was when the question was new: what changes places cannot be looked at. */
  sort(cameras, labels) {
    const asked = JSON.stringify(labels);
    const best = (camera) => camera.probabilities[labels[0].label] ?? 0;
    if (this.sorted !== asked) this.order = [...cameras].sort((a, b) => best(b) - best(a)).map(({ camera }) => camera);
    this.sorted = asked;
    const place = ({ camera }) => (this.order.includes(camera) ? this.order.indexOf(camera) : Infinity);
    return [...cameras].sort((a, b) => place(a) - place(b));
  }

  /** Lets go of the other cameras. */
  keep(ids) {
    for (const [id, card] of this.cards) {
      if (ids.has(id)) continue;
      unfollow(card.shot);
      this.cards.delete(id);
    }
  }

  card(found, label) {
    const known = this.cards.get(found.camera) ?? newCard(found.camera);
    this.cards.set(found.camera, known);
    known.bars.replaceChildren(bars(found.probabilities, label));
    const cosine = found.cosines[label];
    const like = cosine === undefined ? "" : ` · cosine ${cosine.toFixed(3)}`;
    say(known.words, `${share(found.probabilities[label])}${like} · ${span(now() - found.time)} old`);
    return known.root;
  }
}

function newCard(camera) {
  const image = el("img", { alt: `newest frame of ${camera}`, hidden: true });
  const words = el("p", { class: "how" });
  const list = el("div");
  const shot = el("div", { class: "shot" }, image);
  follow(shot, image, camera);
  const root = el("article", { class: "result" }, shot, el("div", {}, el("h3", { text: camera }), words, list));
  return { root, shot, words, bars: list };
}
