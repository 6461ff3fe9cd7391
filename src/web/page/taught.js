// What a label was taught: by how many frames it goes, how good that is, and which frames to mark next.

import { el, mark, say } from "./dom.js";
import { thumbnail } from "./film.js";
import { get } from "./net.js";
import { commands } from "./store.js";
import { goesBy, teachRow, undoLast } from "./teach.js";
import { counted, moment, share } from "./words.js";

export class Taught {
  constructor() {
    this.loads = 0;
    this.counts = el("p", { class: "counts", role: "status" });
    this.score = el("p", { class: "score" });
    this.odd = el("ul", { class: "advice" });
    this.undo = el("button", { type: "button", text: "Undo last", hidden: true, onclick: () => this.takeBack() });
    this.others = el("button", { type: "button", text: "Look for others", onclick: () => this.load() });
    this.next = el("div", { class: "hits" });
    const title = el("h4", { text: "Most useful to mark next" });
    this.more = el("div", { class: "next", hidden: true }, el("div", { class: "actions" }, title, this.others), this.next);
    this.root = el("section", { class: "taught", "aria-label": "taught" }, el("h3", { text: "Taught" }));
    this.root.append(this.counts, this.score, this.odd, el("div", { class: "actions" }, this.undo), this.more);
  }

  get key() {
    return `${this.where.watch}/${this.where.label}`;
  }

  /** Shows {camera, watch, label}, or what was shown once more. */
  async load(where = this.where) {
    this.where = where;
    const report = await this.ask();
    if (!report) return;
    this.next.replaceChildren(...report.next.map((doubt) => this.doubt(doubt)));
    mark(this.more, "hidden", report.next.length === 0);
  }

  /** What has changed by a mark; the frames stay where they are. */
  async ask() {
    const turn = ++this.loads;
    try {
      const report = await get("/api/taught", this.where);
      if (turn !== this.loads) return null;
      this.show(report);
      return report;
    } catch (error) {
      if (turn !== this.loads) return null;
      say(this.counts, error.message);
      for (const part of [this.score, this.odd, this.undo, this.more]) mark(part, "hidden", true);
      return null;
    }
  }

  show(report) {
    const any = report.yes + report.no > 0;
    say(this.counts, any ? `${counted(report.yes + report.no, "frame")}: ${goesBy(report)}.` : "Nothing yet. Mark frames here, events or search results.");
    say(this.score, scoreWords(report.score));
    mark(this.score, "hidden", !any);
    const odd = report.contradictions.map(contradiction);
    if (report.copies) odd.unshift(`${counted(report.copies, "frame")} like another one: they teach nothing new. Choose other moments.`);
    this.odd.replaceChildren(...odd.map((text) => el("li", { text })));
    mark(this.odd, "hidden", odd.length === 0);
    mark(this.undo, "hidden", !any || !commands());
  }

  doubt({ time, probability, picture }) {
    const { camera, label } = this.where;
    const words = `${camera}, ${moment(time)}: ${label} ${share(probability)}`;
    const brief = `${share(probability)} · ${moment(time)}`;
    const shot = thumbnail(picture, words, brief);
    const row = teachRow({ camera, times: () => [time], about: words, key: this.key, changed: () => this.ask() });
    return el("figure", {}, shot, row);
  }

  async takeBack() {
    try {
      const said = await undoLast(this.key);
      await this.ask();
      say(this.counts, `${said}.`);
    } catch (error) {
      say(this.counts, error.message);
    }
  }
}

function scoreWords({ enough, fewest, yes_events: yes, no_events: no, found, wrong, precision, recall }) {
  if (!enough) {
    const events = `${counted(yes, "event")} of those that show it and ${no} of the others`;
    return `Not enough to tell how good it is: ${events}, and it takes ${fewest} of each. Frames within half a minute are one event.`;
  }
  const events = `Of events that it was not taught it found ${found} of ${yes}, and took ${wrong} of ${no} others for one`;
  return `${events}. Precision ${range(precision)}, recall ${range(recall)}; in brackets: 95 % confidence.`;
}

const range = ({ seen, low, high }) => `${share(seen)} (${share(low)} to ${share(high)})`;

function contradiction([a, b]) {
  const word = ({ yes }) => (yes ? "“this is it”" : "“this is not”");
  // Frames of files are some seconds into them.
  const at = ({ source, time }) => `${source}, ${time > 1e8 ? moment(time) : `${time.toFixed(1)} s`}`;
  return `${at(a)} was taught as ${word(a)}, and ${at(b)}, which looks the same, as ${word(b)}.`;
}
