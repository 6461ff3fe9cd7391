// "Why?": what the command `explain` says of a label, and what can be changed there.

import { el, facts, say } from "./dom.js";
import { command } from "./net.js";
import { dialog, failed } from "./notice.js";
import { commands, store } from "./store.js";
import { Taught } from "./taught.js";
import { proper, setThreshold } from "./threshold.js";
import { ago, counted, moment, share, span } from "./words.js";

/** Opens the dialog for {camera, watch, label}. */
export function explain(where) {
  const sentence = el("p", { class: "sentence", text: "asking …" });
  const details = el("div", { class: "details" });
  const ask = () => show(where, sentence, details);
  const again = el("button", { type: "button", text: "Ask again", onclick: ask });
  const actions = el("div", { class: "actions" }, again, ...change(where, ask));
  const taught = new Taught();
  dialog(`${where.camera}: ${where.label}`, sentence, details, actions, taught.root);
  ask();
  taught.load(where);
}

async function show(where, sentence, details) {
  try {
    const { explanation } = await command("explain", where);
    say(sentence, explanation.sentence);
    const { frame, rule } = explanation;
    details.replaceChildren(bars(frame?.probabilities ?? {}, where.label, rule?.threshold), facts(lines(explanation)));
  } catch (error) {
    say(sentence, error.message);
  }
}

/** Bars of probabilities, the highest first. */
export function bars(probabilities, label, threshold = null) {
  const list = el("div", { class: "bars" });
  for (const [id, p] of Object.entries(probabilities).sort((a, b) => b[1] - a[1])) {
    const fill = el("span", { class: "fill" });
    fill.style.transform = `scaleX(${p})`;
    const bar = el("div", { class: "bar" }, fill);
    if (id === label && threshold !== null) bar.append(line(threshold));
    const name = el("span", { class: "name", text: id });
    const row = el("div", { class: id === label ? "row this" : "row" }, name, bar, el("span", { class: "value", text: share(p) }));
    list.append(row);
  }
  return list;
}

function line(threshold) {
  const at = el("span", { class: "line" });
  at.style.left = `${threshold * 100}%`;
  return at;
}

function lines({ frame, rule, camera_status: camera, time, model }) {
  const of = [["Frame", frame ? `${span(frame.age)} old` : null]];
  if (frame?.unchanged) of.push(["Unchanged", counted(frame.unchanged, "frame")]);
  if (rule) of.push(...ruleLines(rule));
  if (camera) of.push(["Camera", `${camera.state} since ${moment(camera.since)}`]);
  of.push(["Model", model], ["Asked", moment(time)]);
  return of;
}

function ruleLines({ threshold, clear, hold, consensus, cooldown, schedule, shadow, event, highest, events, suppressed }) {
  return [
    ["Threshold", `${share(threshold)}, ends below ${share(clear)}`],
    ["Hold", hold.length ? `${span(hold.so_far)} of ${span(hold.length)}` : null],
    ["Frames that agree", consensus.of > 1 ? `${consensus.so_far} of ${consensus.of}, needed ${consensus.needed}` : null],
    ["Cooldown", cooldown.length ? `${span(cooldown.left)} left of ${span(cooldown.length)}` : null],
    ["Schedule", scheduleWords(schedule)],
    ["Shadow", shadow ? "nobody is told of its events" : null],
    ["On since", event ? `${moment(event.since)}, highest ${share(event.top_probability)}` : null],
    ["Highest", highest ? `${share(highest.probability)}, ${ago(highest.time)}` : null],
    ["Events", String(events)],
    ["Kept back", suppressed ? suppressedWords(suppressed) : null],
  ];
}

function scheduleWords(schedule) {
  if (!schedule) return null;
  const until = schedule.until ? ` until ${moment(schedule.until)}` : "";
  return `${schedule.active ? "may fire" : "may not fire"}${until}`;
}

/** What a cooldown kept back, in words. */
export function suppressedWords({ count, top_probability: top, first, last }) {
  return `${counted(count, "event")} by the cooldown, at most ${share(top)}, ${moment(first)} to ${moment(last)}`;
}

/** The threshold to type, and the switch. */
function change({ camera, watch, label }, ask) {
  const found = store.cameras.get(camera)?.watches.find(({ id }) => id === watch)?.labels.find(({ id }) => id === label);
  if (!found || !commands()) return [];
  const number = el("input", { type: "number", min: "0.01", max: "1", step: "0.01", required: true, value: found.threshold ?? "" });
  const set = async (event) => {
    event.preventDefault();
    if (await setThreshold(watch, label, proper(Number(number.value)), found.threshold)) setTimeout(ask, 300);
  };
  const field = el("label", { class: "field" }, el("span", { text: "Threshold" }), number);
  const form = el("form", { onsubmit: set }, field, el("button", { text: "Set" }));
  const flip = el("button", { type: "button", class: "quiet", text: found.enabled ? "Switch label off" : "Switch label on" });
  flip.addEventListener("click", async () => {
    try {
      await command(found.enabled ? "disable" : "enable", { watch, label });
      found.enabled = !found.enabled;
      say(flip, found.enabled ? "Switch label off" : "Switch label on");
      setTimeout(ask, 300);
    } catch (error) {
      failed("The label stays as it is", error);
    }
  });
  return [form, flip];
}
