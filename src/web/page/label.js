// One label of a camera: its bar with threshold and clear, its number, its last ten minutes, "Why?".

import { el, mark, say } from "./dom.js";
import { Spark } from "./spark.js";
import { setThreshold, slider } from "./threshold.js";
import { share } from "./words.js";
import { explain } from "./why.js";

export class LabelRow {
  constructor(camera, watch, label) {
    this.where = { camera, watch, label: label.id };
    this.fires = label.threshold !== null;
    const ask = () => explain(this.where);
    this.fill = el("span", { class: "fill" });
    this.bar = el("div", { class: "bar" }, this.fill);
    this.value = el("span", { class: "value" });
    this.taught = el("small", { class: "by" });
    this.name = el("span", { class: "name", title: label.prompts.join("\n") }, label.id, this.taught);
    this.tag = el("span", { class: "tag" });
    this.root = el("div", { class: this.fires ? "label" : "label background" }, this.name, this.tag);
    this.root.append(this.value, this.bar);
    if (!this.fires) return;
    this.why = el("button", { type: "button", class: "why", text: "Why?", onclick: ask });
    mark(this.why, "aria-label", `Why is ${label.id} of ${camera} on or off?`);
    const canvas = el("canvas", { class: "spark", "aria-hidden": "true" });
    this.spark = new Spark(canvas);
    this.root.append(canvas, this.why);
    this.limits(watch, label);
  }

  limits(watch, label) {
    this.clear = el("span", { class: "clear" });
    this.line = el("span", { class: "line" });
    const place = (p) => move(this.line, this.slider.handle, p);
    const done = async (p) => {
      const took = await setThreshold(watch, label.id, p, this.threshold);
      if (!took) place(this.threshold);
    };
    this.slider = slider(this.bar, `threshold of ${watch}/${label.id}`, { show: place, done });
    this.bar.append(this.clear, this.line, this.slider.handle);
  }

  /** Takes over what the camera's newest message says of this label. */
  update(label) {
    const p = label.probability;
    const width = `scaleX(${p ?? 0})`;
    if (this.width !== width) this.fill.style.transform = this.width = width;
    say(this.value, share(p));
    const on = label.state === "ON";
    if (this.on !== on) this.root.classList.toggle("on", (this.on = on));
    this.root.classList.toggle("off", !label.enabled);
    say(this.tag, tag(label));
    say(this.taught, goesBy(label));
    if (this.fires) this.place(label);
  }

  place(label) {
    if (this.threshold !== label.threshold) this.slider.set((this.threshold = label.threshold));
    if (this.cleared !== label.clear) {
      this.cleared = label.clear;
      this.clear.style.left = `${label.clear * 100}%`;
    }
  }

  remember(time, probability) {
    this.spark?.add(time, probability);
  }

  draw() {
    this.spark?.draw(this.threshold ?? null);
  }
}

function move(line, handle, p) {
  line.style.left = handle.style.left = `${p * 100}%`;
}

/** What it goes by, where that is not its prompts alone. */
function goesBy(label) {
  if (label.taught) return "taught";
  return label.prompts.length === 0 ? "not taught yet" : "";
}

function tag(label) {
  if (!label.enabled) return "off";
  if (label.shadow) return label.state === "ON" ? "shadow, on" : "shadow";
  return label.state === "ON" ? "ON" : "";
}
