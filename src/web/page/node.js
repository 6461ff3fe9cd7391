// How the node is: a line in the head of the page, its troubles loudly, and a view with everything.

import { troubleOf } from "./card.js";
import { el, facts, mark, say } from "./dom.js";
import { on, store, tell } from "./store.js";
import { ago, bytes, counted, milliseconds } from "./words.js";

/** The short line in the head. */
export function nodeLine() {
  const parts = ["speed", "delay", "memory", "outbox"].map((name) => el("span", { class: name }));
  const [speed, delay, memory, outbox] = parts;
  on("node", (node) => {
    say(speed, `${node.fps.toFixed(1)} img/s`);
    say(delay, node.delivered_ms ? `${milliseconds(node.delivered_ms.p50)} to the broker` : "");
    say(memory, node.memory_bytes ? bytes(node.memory_bytes) : "");
    say(outbox, node.outbox ? `${node.outbox} waiting` : "");
  });
  return el("p", { class: "node-line" }, ...parts);
}

/** What is wrong, each in words, where nobody can overlook it. */
export function troubleBar() {
  const bar = el("div", { class: "troubles", role: "alert", hidden: true });
  let lost = false;
  const show = () => {
    const found = lost ? [["No connection to seewhen: what is shown is old. Trying again …"]] : troubles();
    const key = JSON.stringify(found.map(([text]) => text));
    if (bar.dataset.shown === key) return;
    bar.dataset.shown = key;
    bar.replaceChildren(...found.map(([text, act]) => el("p", {}, el("span", { text }), act ? button(act) : null)));
    mark(bar, "hidden", found.length === 0);
  };
  on("node", show);
  on("cameras", show);
  on("removed", show);
  on("link", (up) => {
    lost = !up;
    document.documentElement.classList.toggle("lost", lost);
    show();
  });
  return bar;
}

const button = ([words, call]) => el("button", { type: "button", text: words, onclick: call });

/** `[words, [words of a button, call]?]` of each. */
function troubles() {
  const { node } = store;
  const found = [];
  if (!node) return found;
  if (node.model_trouble) found.push([`The model does not run: ${node.model_trouble}`]);
  if (!node.broker.connected) {
    const waits = node.outbox ? `; ${counted(node.outbox, "message")} wait` : "";
    found.push([`No connection to the broker ${node.broker.address}${waits}`]);
  }
  for (const [name, what] of [["history", "Events are not kept"], ["snapshots", "Pictures of events are not kept"], ["embeddings", "Frames are not kept for searching"]]) {
    if (node[name]) found.push([`${what}: ${node[name]}`]);
  }
  const away = [...store.cameras.values()].filter((camera) => troubleOf(camera) !== null);
  if (away.length) found.push([awayWords(away), ["Show", () => tell("trouble")]]);
  return found;
}

function awayWords(away) {
  if (away.length === 1) return `Camera ${away[0].id}: ${troubleOf(away[0])}`;
  return `${away.length} of ${store.cameras.size} cameras have trouble: ${away.slice(0, 4).map(({ id }) => id).join(", ")}${away.length > 4 ? " …" : ""}`;
}

/** Everything about the node. */
export function nodeView() {
  const root = el("section", { class: "node-view" });
  on("node", (node) => {
    if (root.offsetParent !== null) root.replaceChildren(...everything(node));
  });
  on("view", (name) => name === "node" && store.node && root.replaceChildren(...everything(store.node)));
  return root;
}

function everything(node) {
  const times = (it) => (it ? `${milliseconds(it.p50)}, at most ${milliseconds(it.p99)} for 99 of 100` : "none yet");
  const kept = (reason) => (reason ? `not kept: ${reason}` : "kept");
  const broker = node.broker.connected ? "connected" : "not connected";
  return [
    el("h2", { text: node.node }),
    facts([
      ["Cameras", `${node.running} of ${node.cameras} running`],
      ["Speed", `${node.fps.toFixed(1)} frames a second are analysed`],
      ["Model", node.model && (node.precision ? `${node.model} (${node.precision})` : node.model)],
      ["Runs on", node.provider],
      ["A batch takes", times(node.batch_ms)],
      ["Frame to broker", times(node.delivered_ms)],
      ["Broker", `${node.broker.address}, ${broker}`],
      ["Outbox", counted(node.outbox, "message")],
      ["Events", kept(node.history)],
      ["Pictures", kept(node.snapshots)],
      ["Frames to search", node.embeddings === undefined ? null : kept(node.embeddings)],
      ["Commands", node.commands ? "taken" : "switched off"],
      ["Memory", node.memory_bytes && bytes(node.memory_bytes)],
      ["Started", node.started ? ago(node.started) : null],
      ["Version", node.version],
    ]),
  ];
}
