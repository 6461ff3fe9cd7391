// The labels that are being tried: each a name and its prompts, one a line.

import { el } from "./dom.js";

const SMALL_WORDS = new Set(["a", "an", "the", "of", "on", "in", "at", "with", "photo", "picture", "image", "and"]);

/** A name for a label made of its first prompt: "a red truck at a gate" → "red-truck-gate". */
export function nameFor(prompt) {
  const words = prompt.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const good = words.filter((word) => !SMALL_WORDS.has(word));
  return good.slice(0, 3).join("-").slice(0, 64);
}

export class Prompts {
  /** `changed()` is called at every change. */
  constructor(changed) {
    this.changed = changed;
    this.blocks = [];
    this.list = el("div", { class: "prompt-blocks" });
    const more = el("button", { type: "button", class: "quiet", text: "+ what else may be seen", onclick: () => this.add().area.focus() });
    this.root = el("div", { class: "prompts" }, this.list, more);
    this.add();
  }

  add() {
    const first = this.blocks.length === 0;
    const id = el("input", { class: "id", maxlength: 64, pattern: "[A-Za-z0-9_\\-]+", placeholder: "name", "aria-label": "name of the label", spellcheck: "false" });
    const area = el("textarea", { rows: 2, placeholder: first ? "a cardboard box on a doorstep\na delivered parcel by a door" : "an empty porch" });
    const block = { id, area, named: false };
    area.addEventListener("input", () => {
      if (!block.named) id.value = nameFor(area.value.split("\n")[0]);
      area.rows = Math.min(8, Math.max(2, area.value.split("\n").length));
      this.changed();
    });
    id.addEventListener("input", () => {
      block.named = id.value !== "";
      this.changed();
    });
    const words = el("label", {}, el("span", { text: first ? "What to look for, one prompt a line" : "What else may be seen" }), area);
    block.root = el("div", { class: "prompt-block" }, words, el("div", { class: "prompt-name" }, el("span", { text: "Label" }), id));
    if (!first) block.root.lastElementChild.append(this.remover(block));
    this.blocks.push(block);
    this.list.append(block.root);
    return block;
  }

  remover(block) {
    const remove = () => {
      this.blocks = this.blocks.filter((other) => other !== block);
      block.root.remove();
      this.changed();
    };
    return el("button", { type: "button", class: "quiet", text: "×", "aria-label": "remove this label", onclick: remove });
  }

  /** The labels with prompts, the one to look for first; empty while that one has none. */
  labels() {
    const all = this.blocks.map(({ id, area }) => ({ label: id.value.trim(), prompts: lines(area.value) }));
    if (all[0].prompts.length === 0) return [];
    return all.filter(({ label, prompts }) => label && prompts.length > 0);
  }
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
