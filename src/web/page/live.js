// The stream of what changes (server-sent events), and whether it still flows.

import { get } from "./net.js";
import { store, tell } from "./store.js";

/** Seconds without a word, after which the connection counts as lost. */
const SILENCE = 8;
const LONGEST_WAIT = 10;
/** Milliseconds for an answer when the connection was lost. */
const PATIENCE = 5000;

let source = null;
let heard = 0;
let wait = 1;
let timer = 0;

/** Connects, and again whenever the connection is lost, until `disconnect`. */
export function connect() {
  disconnect();
  heard = performance.now();
  source = new EventSource("/api/live");
  source.addEventListener("open", connected);
  source.addEventListener("error", lost);
  listen("node", takeNode);
  listen("cameras", takeCameras);
  listen("removed", takeRemoved);
  listen("event", (event) => tell("event", event));
}

export function disconnect() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function listen(name, take) {
  source.addEventListener(name, (message) => {
    heard = performance.now();
    take(JSON.parse(message.data));
  });
}

function connected() {
  wait = 1;
  tell("link", true);
}

function lost() {
  disconnect();
  tell("link", false);
  timer = setTimeout(again, wait * 1000);
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

/** A stream says nothing of its status, so access is asked for by itself. */
async function again() {
  try {
    const session = await get("/api/session", {}, AbortSignal.timeout(PATIENCE));
    if (session.access === "needed") return tell("access", "needed");
  } catch (error) {
    // No answer at all; whatever else it says, it is there.
    if (error.status === 0) return lost();
  }
  connect();
}

function takeNode(node) {
  store.skew = node.time - Date.now() / 1000;
  store.node = node;
  tell("node", node);
}

function takeCameras(cameras) {
  for (const camera of cameras) store.cameras.set(camera.id, camera);
  tell("cameras", cameras.map((camera) => camera.id));
}

function takeRemoved(ids) {
  for (const id of ids) store.cameras.delete(id);
  tell("removed", ids);
}

setInterval(() => {
  if (source && performance.now() - heard > SILENCE * 1000) lost();
}, 2000);
