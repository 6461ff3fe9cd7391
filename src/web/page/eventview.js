// One event, large: its picture, all probabilities, and what the label says of itself now.

import { el, facts, say } from "./dom.js";
import { command, paths } from "./net.js";
import { dialog } from "./notice.js";
import { eventTimes, teachRow } from "./teach.js";
import { bars, explain, suppressedWords } from "./why.js";
import { moment, share, span } from "./words.js";

const RETRY = 1500;

/** The picture of an event. The file comes some milliseconds after the event, so it is asked for twice. */
export function snapshot(event, alt) {
  if (!event.snapshot) return el("span", { class: "none", text: "no picture" });
  const src = paths.snapshot(event.snapshot);
  const image = el("img", { src, alt, loading: "lazy", decoding: "async" });
  let again = true;
  image.addEventListener("error", () => {
    if (again) setTimeout(() => (image.src = src), RETRY);
    else image.replaceWith(el("span", { class: "none", text: "picture not kept" }));
    again = false;
  });
  return image;
}

/** How long it took, or that it lasts. */
function lasted(event) {
  return event.type === "end" ? `for ${span(event.end_time - event.start_time)}` : "still on";
}

export function showEvent(event) {
  const shot = el("div", { class: "shot large" }, snapshot(event, `what ${event.camera} saw`));
  const rows = bars(event.probabilities, event.label, event.threshold);
  const nowSays = el("p", { class: "sentence", text: "…" });
  const why = () => explain({ camera: event.camera, watch: event.watch, label: event.label });
  const details = facts([
    ["Seen", `${moment(event.start_time)}, ${lasted(event)}`],
    ["Highest", `${share(event.top_probability)}, threshold ${share(event.threshold)}`],
    ["Kept back before", event.suppressed ? suppressedWords(event.suppressed) : null],
    ["Seen in", event.tile ? "a part of the picture (tiles)" : null],
    ["Sent", event.queued ? "late: it had waited for the broker" : null],
    ["Model", event.model],
    ["Id", event.id],
  ]);
  const probabilities = el("h3", { text: event.type === "end" ? "Probabilities at its end" : "Probabilities" });
  const more = el("div", { class: "actions" }, teachEvent(() => event), el("button", { type: "button", text: "Why?", onclick: why }));
  const now = el("div", { class: "now" }, el("h3", { text: "The label now" }), nowSays);
  dialog(`${event.camera}: ${event.label}`, shot, details, probabilities, rows, now, more);
  ask(event, nowSays);
}

/** Teaches the event's label: its frames show it, or do not. `newest()` gives its newest message. */
export function teachEvent(newest) {
  const { camera, watch, label, start_time: start } = newest();
  const about = `${label}, ${camera}, ${moment(start)}`;
  return teachRow({ camera, key: `${watch}/${label}`, times: () => eventTimes(newest()), about });
}

async function ask({ camera, watch, label }, sentence) {
  try {
    const { explanation } = await command("explain", { camera, watch, label });
    say(sentence, explanation.sentence);
  } catch (error) {
    say(sentence, error.message);
  }
}
