// The search box: words against the embeddings of every stored frame.

import { choice, el, offer, say } from "./dom.js";
import { thumbnail } from "./film.js";
import { get } from "./net.js";
import { cameraOptions, on } from "./store.js";
import { teachRow } from "./teach.js";
import { counted, milliseconds, moment, now, span } from "./words.js";

/** Spans to look back, in seconds; "" is all there is. */
export const SPANS = [
  ["900", "15 minutes"],
  ["3600", "an hour"],
  ["86400", "a day"],
  ["604800", "a week"],
  ["2592000", "30 days"],
];

export function searchView() {
  const words = el("input", { type: "search", name: "q", required: true, placeholder: "a red truck", maxlength: 500, "aria-label": "what to look for" });
  const camera = choice("Camera", [["", "all"]]);
  const back = choice("Back to", [["", "all there is"], ...SPANS]);
  const said = el("p", { class: "said", role: "status", text: "Describe in words what was seen; every analysed frame that is kept is compared." });
  const hits = el("div", { class: "hits" });
  on("cameras", () => offer(camera.select, [["", "all"], ...cameraOptions()]));
  const form = el("form", { class: "tools", role: "search" }, words, camera.field, back.field, el("button", { class: "main", text: "Search" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say(said, "searching …");
    const since = back.select.value ? now() - Number(back.select.value) : "";
    try {
      const answer = await get("/api/search", { q: words.value.trim(), camera: camera.select.value, since, limit: 24 });
      show(answer, said, hits);
    } catch (error) {
      hits.replaceChildren();
      say(said, error.message);
    }
  });
  return el("section", { class: "search" }, form, said, hits);
}

function show({ scanned, took, hits: found }, said, hits) {
  const what = found.length ? `${counted(found.length, "result")}, the best first` : "Nothing";
  say(said, `${what}; ${counted(scanned, "frame")} compared in ${took < 1 ? milliseconds(took * 1000) : span(took)}`);
  hits.replaceChildren(...found.map(hit));
}

function hit({ camera, time, from, until, cosine, deviations, picture }) {
  const words = `${camera}, ${moment(time)}`;
  const shot = thumbnail(picture, words, words, { camera, time });
  const length = until - from > 1 ? `for ${span(until - from)}` : "";
  const side = deviations < 0 ? "below" : "above";
  const score = [`likeness ${cosine.toFixed(3)}`, `${Math.abs(deviations).toFixed(1)} σ ${side} the usual`, length].filter(Boolean).join(" · ");
  const row = teachRow({ camera, times: () => [time], about: words });
  return el("figure", {}, shot, el("figcaption", { text: score }), row);
}
