// Prompts over the stored history: the curve, its frames, a threshold, and the label made of them.

import { Chart, rises } from "./chart.js";
import { choice, el, mark, offer, say } from "./dom.js";
import { enlargePoint, film } from "./film.js";
import { command, post } from "./net.js";
import { failed, notice } from "./notice.js";
import { SPANS } from "./search.js";
import { cameraOptions, commands, watches } from "./store.js";
import { counted, now, span } from "./words.js";

const POINTS = 400;
const FIRST_THRESHOLD = 0.6;

/**
 * What a question gives over the last `length` seconds: points `step` seconds apart, from `since` to `until`.
 * A shorter history is asked for once more, in finer steps, and has the room.
 */
export async function lookBack(question, length, signal) {
  const until = now();
  const ask = (since) => post("/api/past", { ...question, since, until, points: POINTS }, signal);
  let since = until - length;
  let answer = await ask(since);
  const first = answer.points[0]?.time ?? since;
  const start = first - 0.02 * (until - first) - 1;
  if (start - since > 0.1 * length) {
    since = start;
    answer = await ask(since);
  }
  return { ...answer, since, until, step: (until - since) / POINTS };
}

/** `question()` gives what is asked on the bench, or null. */
export function pastPanel(question) {
  return new Past(question);
}

class Past {
  constructor(question) {
    this.question = question;
    this.threshold = FIRST_THRESHOLD;
    this.camera = choice("Camera", [], { onchange: () => this.ask() });
    this.back = choice("Back to", SPANS, { onchange: () => this.ask() });
    this.look = el("button", { type: "button", text: "Look again", onclick: () => this.ask() });
    this.said = el("p", { class: "said", role: "status" });
    const enlarge = (point) => enlargePoint(this.shownCamera, point, this.label);
    this.chart = new Chart({ threshold: (p) => this.chosen(p), point: enlarge });
    this.strip = el("div", { class: "film" });
    this.shown = el("div", { class: "past-shown", hidden: true }, this.chart.root, this.strip);
    const tools = el("div", { class: "tools" }, this.camera.field, this.back.field, this.look);
    const title = el("h2", { text: "Over the stored history" });
    this.root = el("div", { class: "past" }, title, tools, this.said, this.shown, this.maker());
    this.chart.setThreshold(this.threshold);
  }

  options() {
    offer(this.camera.select, cameraOptions());
    offer(this.watch.select, [...watches().keys()].map((id) => [id, id]));
    mark(this.make, "disabled", !commands());
  }

  /** The prompts are other ones. */
  changed() {
    const question = this.question();
    const label = question?.labels[0].label ?? "";
    say(this.make, label ? `Make “${label}” a label` : "Make it a label");
    if (question?.watch) this.watch.select.value = question.watch;
    mark(this.form, "hidden", !question);
    this.ask();
  }

  async ask() {
    this.asking?.abort();
    const question = this.question();
    const camera = this.camera.select.value;
    if (!question || !camera) return mark(this.shown, "hidden", true);
    const asking = (this.asking = new AbortController());
    say(this.said, "looking back …");
    try {
      const back = Number(this.back.select.value);
      this.show(await lookBack({ ...question, camera }, back, asking.signal), question, camera);
    } catch (error) {
      if (error.name === "AbortError") return;
      mark(this.shown, "hidden", true);
      say(this.said, error.message);
    }
  }

  show(answer, { labels }, camera) {
    this.answer = answer;
    this.shownCamera = camera;
    this.label = labels[0].label;
    mark(this.shown, "hidden", answer.points.length === 0);
    const ids = Object.keys(answer.points[0]?.probabilities ?? {}).filter((id) => id !== this.label);
    this.chart.show(answer, [this.label, ...ids]);
    film(this.strip, camera, answer, this.label);
    this.count();
  }

  count() {
    const { frames, points, since, until } = this.answer;
    if (frames === 0) return say(this.said, "No frame of this camera is kept in that time.");
    const times = rises(points, this.label, this.threshold);
    const often = `${times ? counted(times, "time") : "never"} over ${this.threshold.toFixed(2)} in ${span(until - since)}`;
    say(this.said, `${counted(frames, "frame")}; “${this.label}” was ${often}. Drag the line to choose a threshold; click the curve to see a frame.`);
  }

  chosen(p) {
    this.threshold = p;
    say(this.number, p.toFixed(2));
    if (this.answer) this.count();
  }

  /** What makes a label of the prompts. */
  maker() {
    this.watch = choice("of the watch", []);
    this.number = el("b", { text: this.threshold.toFixed(2) });
    this.make = el("button", { class: "main", text: "Make it a label" });
    const box = el("input", { type: "checkbox" });
    this.others = el("label", { class: "check" }, box, el("span", { text: "the other ones too, as background" }));
    const add = (event) => {
      event.preventDefault();
      this.add(box.checked);
    };
    const from = el("span", {}, "that fires from ", this.number);
    this.form = el("form", { class: "tools maker", hidden: true, onsubmit: add }, this.make, this.watch.field, from, this.others);
    return this.form;
  }

  async add(others) {
    const question = this.question();
    if (!question) return;
    const watch = this.watch.select.value;
    const [first, ...rest] = question.labels;
    try {
      const fields = { watch, label: first.label, prompts: first.prompts, threshold: this.threshold };
      const { notes } = await command("add_label", fields);
      if (others) for (const { label, prompts } of rest) await command("add_label", { watch, label, prompts });
      const undo = () => remove(watch, first.label);
      const said = [`${watch} looks for “${first.label}” now`, ...notes];
      notice(said.join("; "), { undo: ["Undo", undo] });
    } catch (error) {
      failed("No label was made", error);
    }
  }
}

async function remove(watch, label) {
  try {
    await command("remove_label", { watch, label });
    notice(`${watch} no longer looks for “${label}”`);
  } catch (error) {
    failed("The label stays", error);
  }
}
