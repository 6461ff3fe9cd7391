// One camera: its newest picture, how it is, and its labels.

import { el, mark, say } from "./dom.js";
import { LabelRow } from "./label.js";
import { command, get, paths } from "./net.js";
import { failed } from "./notice.js";
import { follow, shownAt, unfollow } from "./pictures.js";
import { commands, store } from "./store.js";
import { now, span } from "./words.js";

/** Seconds after which a running camera's newest frame counts as old, at least; and in its usual distances. */
const OLD = 10;
const OLD_FRAMES = 4;

export class Card {
  constructor(camera) {
    this.id = camera.id;
    /** `watch/label` → LabelRow. */
    this.rows = new Map();
    this.visible = false;
    this.image = el("img", { alt: `newest frame of ${camera.id}`, hidden: true, decoding: "async" });
    this.age = el("span", { class: "age" });
    this.reason = el("p", { class: "reason" });
    this.accept = el("button", { type: "button", text: "This is its view from now on", hidden: true });
    this.accept.addEventListener("click", () => this.learn());
    this.labels = el("div", { class: "labels" });
    this.how = el("p", { class: "how" });
    this.state = el("span", { class: "state" });
    this.toggle = el("button", { type: "button", class: "switch", role: "switch", onclick: () => this.flip() });
    const head = el("header", {}, el("h2", { text: camera.id }), this.state, this.toggle);
    this.shot = el("div", { class: "shot" }, el("span", { class: "none", text: "no picture yet" }), this.image, this.age);
    this.root = el("article", { class: "card", "aria-label": `camera ${camera.id}` }, this.shot, head);
    this.root.append(this.reason, this.accept, this.labels, this.how);
    this.root.dataset.camera = camera.id;
    follow(this.shot, this.image, camera.id);
  }

  remove() {
    unfollow(this.shot);
    this.root.remove();
  }

  get camera() {
    return store.cameras.get(this.id);
  }

  /** Takes over the newest message; what did not change is not touched. */
  update() {
    const camera = this.camera;
    this.build(camera);
    for (const watch of camera.watches) {
      for (const label of watch.labels) this.rows.get(`${watch.id}/${label.id}`).update(label);
    }
    mark(this.root, "data-state", camera.state);
    const trouble = troubleOf(camera);
    say(this.reason, trouble ?? "");
    mark(this.reason, "hidden", trouble === null);
    mark(this.accept, "hidden", !isMoved(camera) || !commands());
    mark(this.toggle, "aria-checked", String(camera.enabled));
    mark(this.toggle, "aria-label", `camera ${camera.id} is switched ${camera.enabled ? "on" : "off"}`);
    mark(this.toggle, "disabled", !commands());
    say(this.how, how(camera));
    this.tick();
  }

  /** The ages of the newest frame and of the picture that is shown; asked for every second. */
  tick() {
    const { state, frame_time: time, fps } = this.camera;
    const age = time === null ? 0 : now() - time;
    const old = state === "running" && age > Math.max(OLD, OLD_FRAMES / Math.max(fps, 0.001));
    say(this.state, old ? `newest frame ${span(age)} old` : state);
    this.age.classList.toggle("old", old);
    const shown = shownAt(this.shot);
    say(this.age, shown === null ? "" : span(now() - shown));
  }

  /** Rows anew where watches or labels came or went, or began to fire. */
  build(camera) {
    const shape = JSON.stringify(camera.watches.map(shapeOf));
    if (shape === this.shape) return;
    this.shape = shape;
    const old = this.rows;
    this.rows = new Map();
    this.labels.replaceChildren();
    for (const watch of camera.watches) this.section(watch, camera.watches.length > 1);
    for (const [key, row] of this.rows) inherit(row, old.get(key));
    if (old.size && this.visible) this.recall();
  }

  section(watch, named) {
    if (named || !watch.enabled) {
      const words = watch.enabled ? watch.id : `${watch.id} (switched off)`;
      this.labels.append(el("h3", { text: words }));
    }
    const firing = watch.labels.filter((label) => label.threshold !== null);
    const others = watch.labels.filter((label) => label.threshold === null);
    for (const label of [...firing, ...others]) {
      const row = new LabelRow(this.id, watch.id, label);
      this.rows.set(`${watch.id}/${label.id}`, row);
      this.labels.append(row.root);
    }
  }

  /** A point of the newest message for the small curves. */
  remember() {
    const camera = this.camera;
    if (camera.frame_time === null) return;
    for (const watch of camera.watches) {
      for (const label of watch.labels) {
        if (label.probability === null) continue;
        this.rows.get(`${watch.id}/${label.id}`)?.remember(camera.frame_time, label.probability);
      }
    }
  }

  /** Asks for the last ten minutes. */
  async recall() {
    this.recalled = true;
    try {
      const curves = await get(paths.camera(this.id, "curves"));
      for (const [key, points] of Object.entries(curves)) {
        for (const [time, p] of points) this.rows.get(key)?.remember(time, p);
      }
      this.draw();
    } catch {
      this.recalled = false;
    }
  }

  draw() {
    for (const row of this.rows.values()) row.draw();
  }

  async flip() {
    const on = !this.camera.enabled;
    try {
      await command(on ? "enable" : "disable", { camera: this.id });
    } catch (error) {
      failed(`Camera ${this.id} stays ${on ? "off" : "on"}`, error);
    }
  }

  /** What the camera shows now is to be its usual view. */
  async learn() {
    try {
      await command("learn_view", { camera: this.id });
    } catch (error) {
      failed(`The view of ${this.id} stays as it was`, error);
    }
  }
}

function shapeOf(watch) {
  const labels = watch.labels.map((label) => [label.id, label.threshold !== null, label.prompts]);
  return [watch.id, watch.enabled, labels];
}

function inherit(row, old) {
  if (!row.spark || !old?.spark) return;
  row.spark.columns = old.spark.columns;
  row.spark.newest = old.spark.newest;
}

/** What is wrong with a camera, or null. */
export function troubleOf(camera) {
  if (!camera.enabled) return null;
  if (camera.state !== "running") return camera.reason || camera.state;
  return camera.problem_reason;
}

/** Whether nothing but its view is wrong with a camera. */
function isMoved(camera) {
  return camera.enabled && camera.state === "running" && camera.problem === "moved";
}

function how(camera) {
  if (!camera.enabled || camera.state !== "running") return "";
  const parts = [`${camera.fps.toFixed(1)} img/s`, camera.strategy, camera.decoder];
  if (camera.cpu) parts.push(`${(camera.cpu * 100).toFixed(1)} % cpu`);
  if (camera.dropped) parts.push(`${camera.dropped} dropped`);
  return parts.filter(Boolean).join(" · ");
}
