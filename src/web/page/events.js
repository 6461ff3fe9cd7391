// Lists of events, newest first: the long one with filters, and the short one beside the cameras.

import { choice, el, mark, offer, say } from "./dom.js";
import { showEvent, snapshot, teachEvent } from "./eventview.js";
import { get } from "./net.js";
import { cameraOptions, on, watches } from "./store.js";
import { moment, share, span } from "./words.js";

/** Rows that one list keeps, at most. */
const MOST = 500;

class EventList {
  /**
   * `fits(event)` says what comes in live, `length` how many are asked for at once; `teaches`: each can teach its
   * label.
   */
  constructor(length, fits, most, teaches = false) {
    Object.assign(this, { length, fits, most, teaches, rows: new Map(), more: false, query: {}, loads: 0 });
    this.list = el("ol", { class: "events" });
    this.empty = el("p", { class: "empty", text: "No events yet." });
    this.root = el("div", {}, this.list, this.empty);
    on("event", (event) => this.fits(event) && this.take(event, true));
  }

  take(event, fresh) {
    const known = this.rows.get(event.id);
    const row = known ?? { root: el("li") };
    if (known && known.event.type === "end") return;
    row.event = event;
    this.rows.set(event.id, row);
    fill(row, this.teaches);
    if (!known) this.place(row, fresh);
    mark(this.empty, "hidden", true);
  }

  place(row, fresh) {
    if (fresh) this.list.prepend(row.root);
    else this.list.append(row.root);
    if (this.rows.size <= this.most) return;
    const last = this.list.lastElementChild;
    this.rows.delete(last.dataset.id);
    last.remove();
    this.more = true;
  }

  async load(older) {
    const turn = ++this.loads;
    const oldest = older ? this.list.lastElementChild?.dataset.start : null;
    const answer = await get("/api/events", { ...this.query, before: oldest ?? "", limit: this.length });
    if (turn !== this.loads) return;
    if (!older) {
      this.rows.clear();
      this.list.replaceChildren();
    }
    this.most = Math.max(this.most, this.rows.size + answer.events.length);
    for (const event of answer.events) this.take(event, false);
    this.more = answer.more;
    say(this.empty, "No events yet.");
    mark(this.empty, "hidden", this.rows.size > 0);
  }

  /** A first or another load; what fails stands where the events would. */
  async fetch(older = false) {
    try {
      await this.load(older);
    } catch (error) {
      say(this.empty, error.message);
      mark(this.empty, "hidden", false);
    }
  }
}

function fill(row, teaches) {
  const { event } = row;
  row.root.dataset.id = event.id;
  row.root.dataset.start = event.start_time;
  row.root.className = event.type === "end" ? "" : "on";
  if (!row.length) {
    row.length = el("span", { class: "length" });
    const what = el("span", {}, el("b", { text: event.label }), " ", row.length);
    const where = el("span", { text: event.camera });
    const when = el("span", { class: "when", text: moment(event.start_time) });
    const shot = el("span", { class: "shot" }, snapshot(event, ""));
    const lines = el("span", { class: "lines" }, what, where, when);
    row.root.append(el("button", { type: "button", onclick: () => showEvent(row.event) }, shot, lines));
    if (teaches) row.root.append(teachEvent(() => row.event));
  }
  const end = event.type === "end" ? span(event.end_time - event.start_time) : "on";
  say(row.length, `${share(event.top_probability)} · ${end}`);
}

/** The short list beside the cameras. */
export function latestEvents() {
  const list = new EventList(12, () => true, 12);
  on("link", (up) => up && list.fetch());
  return el("aside", { "aria-label": "latest events" }, el("h2", { text: "Latest events" }), list.root);
}

/** The view with filters. */
export function eventsView() {
  const camera = choice("Camera", [["", "all"]]);
  const label = choice("Label", [["", "all"]]);
  const fits = (event) => fitting(camera.select.value, event.camera) && fitting(label.select.value, event.label);
  const list = new EventList(50, fits, MOST, true);
  const older = el("button", { type: "button", text: "Load older", hidden: true });
  const load = async (before) => {
    list.query = { camera: camera.select.value, label: label.select.value };
    await list.fetch(before);
    mark(older, "hidden", !list.more);
  };
  older.addEventListener("click", () => load(true));
  for (const { select } of [camera, label]) select.addEventListener("change", () => load(false));
  on("link", (up) => up && load(false));
  on("cameras", () => {
    offer(camera.select, [["", "all"], ...cameraOptions()]);
    offer(label.select, [["", "all"], ...firing().map((id) => [id, id])]);
  });
  const tools = el("div", { class: "tools" }, camera.field, label.field);
  return el("section", { class: "wide-events" }, tools, list.root, older);
}

const fitting = (wanted, found) => wanted === "" || wanted === found;

/** Ids of the labels that fire. */
function firing() {
  const found = new Set();
  for (const { labels } of watches().values()) {
    for (const { id, threshold } of labels) if (threshold !== null) found.add(id);
  }
  return [...found].sort();
}
