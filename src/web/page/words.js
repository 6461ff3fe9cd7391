// Numbers and times as people read them. Times are Unix seconds, spans seconds.

import { store } from "./store.js";

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const SHORT_CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

/** A probability with two digits. */
export const share = (p) => (p === null || p === undefined ? "–" : p.toFixed(2));

/** What the clock of the machine with seewhen says, as far as is known. */
export const now = () => Date.now() / 1000 + store.skew;

/** A span in its largest unit. */
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

export const ago = (time) => `${span(now() - time)} ago`;

const sameDay = (a, b) => a.toDateString() === b.toDateString();

/** The time of day, with the day where that is not today. */
export function moment(time) {
  const date = new Date(time * 1000);
  const clock = CLOCK.format(date);
  return sameDay(date, new Date(now() * 1000)) ? clock : `${DAY.format(date)}, ${clock}`;
}

/** The time under a curve of so many seconds. */
export function tick(time, length) {
  const date = new Date(time * 1000);
  if (length < 900) return CLOCK.format(date);
  return length > 86400 ? `${DAY.format(date)}, ${SHORT_CLOCK.format(date)}` : SHORT_CLOCK.format(date);
}

export function bytes(n) {
  const mib = n / 1048576;
  return mib < 1024 ? `${Math.round(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
}

export const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`);

/** `1 event`, `2 events`. */
export const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
