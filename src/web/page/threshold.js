// A threshold as a line that is dragged, or moved with the arrow keys; set by the command `set_threshold`.

import { el, mark } from "./dom.js";
import { command } from "./net.js";
import { failed, notice } from "./notice.js";
import { commands, store } from "./store.js";

const LOWEST = 0.01;

/** Two digits, above 0 and at most 1. */
export const proper = (p) => Math.min(1, Math.max(LOWEST, Math.round(p * 100) / 100));

const STEPS = { ArrowRight: 0.01, ArrowUp: 0.01, ArrowLeft: -0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 };

/**
 * A slider in `track`. `show(p)` places it while it moves, `done(p)` takes what was chosen,
 * `upright` says that the track goes from bottom to top.
 */
export function slider(track, label, { show, done, upright = false }) {
  const handle = el("span", { class: "handle", role: "slider", tabindex: "0", "aria-label": label });
  mark(handle, "aria-valuemin", LOWEST);
  mark(handle, "aria-valuemax", 1);
  mark(handle, "aria-orientation", upright ? "vertical" : "horizontal");
  const state = { value: LOWEST, moving: null };
  const move = (p) => {
    state.moving = proper(p);
    show(state.moving);
  };
  const finish = (keep) => {
    const chosen = state.moving;
    state.moving = null;
    if (chosen === null) return;
    if (keep && chosen !== state.value) done(chosen);
    else show(state.value);
  };
  dragged(handle, track, upright, move, finish);
  keyed(handle, () => state.moving ?? state.value, move, finish);
  const set = (p) => {
    state.value = p;
    mark(handle, "aria-valuenow", p);
    mark(handle, "aria-valuetext", p.toFixed(2));
    if (state.moving === null) show(p);
  };
  return { handle, set };
}

function dragged(handle, track, upright, move, finish) {
  handle.addEventListener("pointerdown", (event) => {
    if (!commands() || event.button !== 0) return;
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const edge = track.getBoundingClientRect();
    const at = (event) =>
      upright ? (edge.bottom - event.clientY) / edge.height : (event.clientX - edge.left) / edge.width;
    const follow = (event) => move(at(event));
    const end = (event) => {
      handle.removeEventListener("pointermove", follow);
      finish(event.type === "pointerup");
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("pointerup", end, { once: true });
    handle.addEventListener("pointercancel", end, { once: true });
  });
}

/** Keys move it at once; what they came to is set a moment after the last one. */
function keyed(handle, value, move, finish) {
  let timer = 0;
  handle.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || !commands()) return;
    event.preventDefault();
    clearTimeout(timer);
    move(value() + step);
    timer = setTimeout(() => finish(true), 700);
  });
}

/** Sends a threshold, and says what came of it. `before` is what an undo goes back to. */
export async function setThreshold(watch, label, threshold, before) {
  try {
    const answer = await command("set_threshold", { watch, label, threshold });
    const cameras = [...store.cameras.values()].filter((it) => it.watches.some(({ id }) => id === watch));
    const where = cameras.length > 1 ? `, on ${cameras.length} cameras` : "";
    const kept = answer.persisted ? "" : ", until the next start";
    const said = [`${watch}/${label} fires from ${threshold.toFixed(2)}${where}${kept}`, ...answer.notes];
    const back = () => setThreshold(watch, label, before, null);
    notice(said.join("; "), { undo: before === null ? null : ["Undo", back] });
    return true;
  } catch (error) {
    failed(`The threshold of ${watch}/${label} stays`, error);
    return false;
  }
}
