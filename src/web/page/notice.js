// Short notices at the edge of the page, and the dialogs.

import { el } from "./dom.js";

const SHOWN = 7000;

/** Says something for some seconds; `undo` is `[words, call]` of a button beside it. */
export function notice(text, { error = false, undo = null } = {}) {
  const box = el("div", { class: error ? "notice error" : "notice", role: error ? "alert" : "status" });
  box.append(el("span", { text }));
  const close = () => box.remove();
  if (undo) {
    const act = () => {
      close();
      undo[1]();
    };
    box.append(el("button", { type: "button", text: undo[0], onclick: act }));
  }
  box.append(el("button", { type: "button", class: "quiet", text: "×", "aria-label": "close", onclick: close }));
  document.getElementById("notices").append(box);
  setTimeout(close, error ? 2 * SHOWN : SHOWN);
}

/** Says why something failed. */
export function failed(what, error) {
  if (error.name !== "AbortError") notice(`${what}: ${error.message}`, { error: true });
}

/** A dialog with these children; it is thrown away when it closes. */
export function dialog(title, ...children) {
  const close = el("button", { type: "button", class: "quiet close", text: "×", "aria-label": "close" });
  const heading = el("h2", { text: title });
  const box = el("dialog", { "aria-label": title }, el("header", {}, heading, close), ...children);
  close.addEventListener("click", () => box.close());
  box.addEventListener("close", () => box.remove());
  // A click beside it lands on the dialog itself, whose inside is covered by its children.
  box.addEventListener("click", (event) => event.target === box && outside(event, box) && box.close());
  document.body.append(box);
  box.showModal();
  return box;
}

function outside(event, box) {
  const edge = box.getBoundingClientRect();
  const across = event.clientX < edge.left || event.clientX > edge.right;
  return across || event.clientY < edge.top || event.clientY > edge.bottom;
}
