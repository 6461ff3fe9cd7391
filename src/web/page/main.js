// The page: its views, which of them is shown, and whether one has to log in first.

import { benchView } from "./bench.js";
import { camerasView } from "./cameras.js";
import { el, mark, say } from "./dom.js";
import { eventsView, latestEvents } from "./events.js";
import { connect, disconnect } from "./live.js";
import { loginView } from "./login.js";
import { get, post } from "./net.js";
import { failed } from "./notice.js";
import { nodeLine, nodeView, troubleBar } from "./node.js";
import { searchView } from "./search.js";
import { on, tell } from "./store.js";
import { tuneView } from "./tune.js";

const VIEWS = [
  ["cameras", "Cameras", () => el("div", { class: "home" }, camerasView(), latestEvents())],
  ["events", "Events", eventsView],
  ["prompts", "Prompts", benchView],
  ["search", "Search", searchView],
  ["tune", "Tuning", tuneView],
  ["node", "Node", nodeView],
];

const views = new Map();
const links = new Map();
const main = document.querySelector("main");
const nav = document.querySelector("nav");
const login = loginView(begin);
const leave = el("button", { type: "button", class: "quiet leave", text: "Log out", hidden: true, onclick: logOut });

function build() {
  for (const [name, words, make] of VIEWS) {
    const view = make();
    mark(view, "hidden", true);
    views.set(name, view);
    const link = el("a", { href: `#${name}`, text: words });
    links.set(name, link);
    nav.append(link);
    main.append(view);
  }
  login.hidden = true;
  main.append(login);
  document.querySelector("body > header").append(nodeLine());
  nav.append(leave);
  main.before(troubleBar());
  window.addEventListener("hashchange", route);
  on("access", () => shut());
  on("trouble", () => (location.hash = "#cameras"));
  on("node", ({ node }) => {
    say(document.getElementById("node"), node);
    document.title = `seewhen · ${node}`;
  });
}

function route() {
  const name = location.hash.slice(1);
  const shown = views.has(name) ? name : VIEWS[0][0];
  for (const [id, view] of views) mark(view, "hidden", id !== shown || !login.hidden);
  for (const [id, link] of links) mark(link, "aria-current", id === shown ? "page" : null);
  document.body.dataset.view = shown;
  tell("view", shown);
}

/** Nothing but the form. */
function shut() {
  disconnect();
  mark(login, "hidden", false);
  mark(nav, "hidden", true);
  route();
  login.querySelector("input").focus();
}

async function begin() {
  try {
    const { access, user } = await get("/api/session");
    if (access === "needed") return shut();
    mark(leave, "hidden", access !== "granted" || !user);
  } catch {
    // The stream finds out when the server is back.
  }
  mark(login, "hidden", true);
  mark(nav, "hidden", false);
  route();
  connect();
}

async function logOut() {
  try {
    await post("/api/logout", {});
    location.reload();
  } catch (error) {
    failed("Still logged in", error);
  }
}

build();
begin();
