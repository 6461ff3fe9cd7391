// "This is it", "This is not": a label is taught by frames of the past, and what was taught is taken back.

import { el, mark, say } from "./dom.js";
import { command } from "./net.js";
import { commands, store } from "./store.js";

const CHOSEN = "seewhen.teach";
/** An event's ends are told to the millisecond: so much more is taught, seconds. */
const ROUNDED = 0.001;

/** `watch/label` → the button that takes the last act of teaching back: an older one would take back another act. */
const undos = new Map();

/** What the command takes for an event: the span it lasted, or the frame it was. */
export function eventTimes({ start_time: from, end_time: end, frame_time: frame }) {
  const to = end ?? frame;
  return to > from ? [[from - ROUNDED, to + ROUNDED]] : [from];
}

/** `watch/label` of what can be taught by frames of a camera. */
function teachable(camera) {
  const of = ({ id, labels }) => labels.filter(({ threshold }) => threshold !== null).map((label) => `${id}/${label.id}`);
  return (store.cameras.get(camera)?.watches ?? []).flatMap(of);
}

/** How many frames a label goes by. */
export const goesBy = ({ yes, no }) => `${yes} ${yes === 1 ? "shows" : "show"} it, ${no} ${no === 1 ? "does" : "do"} not`;

/**
 * Both buttons, and what came of them. `camera` and `key`, a `watch/label`, may be functions; without a key a label
 * can be chosen. `times()` gives Unix seconds and pairs of them, `about` says of what, and `changed()` hears of it.
 * Null where there is no label to teach.
 */
export function teachRow({ camera, times, about, key = null, changed = () => {} }) {
  const select = key ? null : chooser(camera, about);
  if (select?.options.length === 0) return null;
  const now = (given) => (typeof given === "function" ? given() : given);
  const said = el("span", { class: "told", role: "status" });
  const row = { said, changed, key: () => (select ? select.value : now(key)), busy: false };
  const button = (words, kind) => {
    const act = () => teach(row, { camera: now(camera), [kind]: times() });
    const made = el("button", { type: "button", text: words, "aria-label": `${words}: ${about}`, onclick: act });
    mark(made, "disabled", !commands());
    return made;
  };
  row.first = button("This is it", "yes");
  const of = select && select.options.length === 1 ? el("span", { class: "of", text: select.value.split("/")[1] }) : select;
  return el("div", { class: "teach" }, of, row.first, button("This is not", "no"), said);
}

/** The labels of a camera; what is chosen holds for all such drop-downs, and for the next visit. */
function chooser(camera, about) {
  const options = teachable(camera).map((key) => el("option", { value: key, text: key }));
  const select = el("select", { class: "teach-label", "aria-label": `label to teach: ${about}` }, ...options);
  choose(select, remembered());
  select.addEventListener("change", () => {
    remember(select.value);
    for (const other of document.querySelectorAll("select.teach-label")) choose(other, select.value);
  });
  return select;
}

function choose(select, key) {
  if ([...select.options].some(({ value }) => value === key)) select.value = key;
}

function remembered() {
  try {
    return localStorage.getItem(CHOSEN);
  } catch {
    return null;
  }
}

function remember(key) {
  try {
    localStorage.setItem(CHOSEN, key);
  } catch {
    // A browser that keeps nothing: it holds for the drop-downs there are.
  }
}

async function teach(row, fields) {
  if (row.busy) return;
  row.busy = true;
  say(row.said, "teaching …");
  const key = row.key();
  const [watch, label] = key.split("/");
  try {
    const { notes, taught } = await command("teach", { watch, label, ...fields });
    const rest = notes.slice(1).map((note) => `; ${note}`);
    say(row.said, `${label}: ${goesBy(taught)}${rest.join("")}`);
    if (taught.added) row.said.append(" · ", undoButton(row, key));
    row.changed();
  } catch (error) {
    say(row.said, error.message);
  }
  row.busy = false;
}

function undoButton(row, key) {
  const undo = el("button", { type: "button", class: "quiet", text: "Undo", onclick: () => takeBack(row, key) });
  undos.get(key)?.remove();
  undos.set(key, undo);
  return undo;
}

async function takeBack(row, key) {
  try {
    say(row.said, await undoLast(key));
    row.changed();
  } catch (error) {
    say(row.said, error.message);
  }
  // The button that had the focus is gone.
  row.first.focus();
}

/** Takes the last act of teaching a label back; says what holds then. */
export async function undoLast(key) {
  const [watch, label] = key.split("/");
  const { notes, taught } = await command("undo_teach", { watch, label });
  undos.get(key)?.remove();
  undos.delete(key);
  return [...notes, taught.yes + taught.no ? goesBy(taught) : "nothing is taught any more"].join("; ");
}
