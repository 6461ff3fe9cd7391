// Tuning: spans in which the thing was there are marked on a label's curve, and a threshold is suggested.

import { Chart } from "./chart.js";
import { choice, el, mark, offer, say } from "./dom.js";
import { film } from "./film.js";
import { command, post } from "./net.js";
import { failed, notice } from "./notice.js";
import { lookBack } from "./past.js";
import { SPANS } from "./search.js";
import { commands, on, watches } from "./store.js";
import { Taught } from "./taught.js";
import { teachRow } from "./teach.js";
import { counted, moment, share, span } from "./words.js";

export function tuneView() {
  const tune = new Tune();
  on("cameras", () => tune.options());
  on("removed", () => tune.options());
  on("view", (name) => name === "tune" && tune.load());
  return tune.root;
}

class Tune {
  constructor() {
    this.spans = [];
    const again = () => this.load();
    this.label = choice("Label", [], { onchange: () => this.options() ?? this.load() });
    this.camera = choice("Camera", [], { onchange: again });
    this.back = choice("Back to", SPANS, { onchange: again });
    this.said = el("p", { class: "said", role: "status" });
    this.chart = new Chart({ span: (from, to) => this.marked(from, to) });
    this.strip = el("div", { class: "film" });
    this.chips = el("div", { class: "chips" });
    this.ask = el("button", { type: "button", class: "main", text: "Suggest", onclick: () => this.suggest() });
    this.result = el("div", { class: "suggested" });
    this.taught = new Taught();
    this.teach = teachRow({
      camera: () => this.camera.select.value,
      key: () => this.label.select.value,
      times: () => this.spans,
      about: "the marked spans",
      changed: () => this.taught.ask(),
    });
    const tools = el("div", { class: "tools" }, this.label.field, this.camera.field, this.back.field);
    this.shown = el("div", { hidden: true }, this.chart.root, this.strip, this.chips, el("div", { class: "actions" }, this.ask, this.teach));
    this.root = el("section", { class: "tune" }, tools, this.said, this.shown, this.result, this.taught.root);
  }

  /** Labels that fire, and the cameras of the one that is chosen. */
  options() {
    this.watches = watches();
    const found = [];
    for (const { id, labels } of this.watches.values()) {
      for (const { id: label, threshold } of labels) if (threshold !== null) found.push(`${id}/${label}`);
    }
    offer(this.label.select, found.map((key) => [key, key]));
    const cameras = this.watches.get(this.chosen.watch)?.cameras ?? [];
    offer(this.camera.select, cameras.map((id) => [id, id]));
  }

  get chosen() {
    const [watch, label] = this.label.select.value.split("/");
    return { watch, label };
  }

  async load() {
    const { watch, label } = this.chosen;
    const found = this.watches?.get(watch)?.labels.find(({ id }) => id === label);
    const camera = this.camera.select.value;
    this.clear();
    mark(this.taught.root, "hidden", !found || !camera);
    if (!found || !camera) return say(this.said, "There is no label with a threshold.");
    this.taught.load({ camera, watch, label });
    try {
      const question = { labels: [{ label, prompts: found.prompts }], watch, camera };
      this.show(await lookBack(question, Number(this.back.select.value)), camera, label);
    } catch (error) {
      say(this.said, error.message);
    }
  }

  clear() {
    this.spans = [];
    this.result.replaceChildren();
    mark(this.shown, "hidden", true);
    this.marks();
  }

  show(past, camera, label) {
    const { points, frames, since, until } = past;
    Object.assign(this, { since, until });
    if (points.length === 0) return say(this.said, "No frame of this camera is kept in that time.");
    say(this.said, `${counted(frames, "frame")}. Draw over the curve where “${label}” was really there, then ask for a threshold, or teach the label what it shows.`);
    mark(this.shown, "hidden", false);
    this.chart.show(past, [label]);
    film(this.strip, camera, past, label, this.label.select.value);
  }

  /** Spans that touch become one. */
  marked(from, to) {
    const apart = this.spans.filter(([a, b]) => b < from || a > to);
    const touched = this.spans.filter(([a, b]) => !(b < from || a > to)).flat();
    this.spans = [...apart, [Math.min(from, ...touched), Math.max(to, ...touched)]].sort((a, b) => a[0] - b[0]);
    this.marks();
  }

  marks() {
    this.chart.setSpans(this.spans);
    mark(this.ask, "disabled", this.spans.length === 0);
    mark(this.teach, "hidden", this.spans.length === 0);
    this.chips.replaceChildren(...this.spans.map((one) => this.chip(one)));
  }

  chip(one) {
    const remove = () => {
      this.spans = this.spans.filter((other) => other !== one);
      this.marks();
    };
    const words = `${moment(one[0])}, ${span(one[1] - one[0])}  ×`;
    return el("button", { type: "button", text: words, "aria-label": `take back the span at ${moment(one[0])}`, onclick: remove });
  }

  async suggest() {
    const body = { camera: this.camera.select.value, ...this.chosen, spans: this.spans, since: this.since, until: this.until };
    try {
      this.suggested(await post("/api/tune", body), body);
    } catch (error) {
      failed("Nothing can be suggested", error);
    }
  }

  suggested({ now: before, suggested, svg }, { watch, label }) {
    const use = el("button", { type: "button", class: "main", text: "Use it", onclick: () => apply(watch, label, suggested) });
    mark(use, "disabled", !commands());
    const title = el("h2", { text: `Suggested for ${label}` });
    this.result.replaceChildren(title, table(before, suggested), el("div", { class: "actions" }, use), plot(svg));
  }
}

/** The plot as a picture: nothing in it can act. */
function plot(text) {
  const src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  const image = el("img", { src, alt: "precision and recall for each threshold" });
  image.addEventListener("load", () => URL.revokeObjectURL(src));
  return image;
}

function table(before, suggested) {
  const rows = [
    ["Fires from", ({ threshold }) => share(threshold)],
    ["Hold", ({ hold }) => span(hold)],
    ["Frames that agree", ({ for: it }) => `${it.needed} of ${it.of}`],
    ["Found", ({ outcome }) => `${outcome.found} of ${outcome.spans}`],
    ["False events", ({ outcome }) => String(outcome.false_events)],
    ["False events a day, expected", ({ outcome }) => range(outcome.false_a_day)],
    ["Precision", ({ outcome }) => range(outcome.precision)],
    ["Recall", ({ outcome }) => range(outcome.recall)],
  ];
  const head = el("tr", {}, el("td"), el("th", { text: "now", scope: "col" }), el("th", { text: "suggested", scope: "col" }));
  const row = ([words, of]) => el("tr", {}, el("th", { text: words, scope: "row" }), el("td", { text: of(before) }), el("td", { text: of(suggested) }));
  return el("table", {}, head, ...rows.map(row));
}

/** What was seen, and between what it lies with the confidence that the server reckons with. */
function range({ seen, low, high }) {
  const number = (value) => (value === null ? "–" : value >= 100 ? String(Math.round(value)) : value.toFixed(2));
  return `${number(seen)} (${number(low)} to ${high === null ? "any" : number(high)})`;
}

async function apply(watch, label, { threshold, clear, hold, for: agree }) {
  const fields = { watch, label, threshold, clear, hold: `${Math.round(hold * 1000)}ms`, for: `${agree.needed} of ${agree.of} frames` };
  try {
    const { notes } = await command("change_label", fields);
    notice([`${watch}/${label} fires from ${share(threshold)} now`, ...notes].join("; "));
  } catch (error) {
    failed(`${watch}/${label} stays as it is`, error);
  }
}
