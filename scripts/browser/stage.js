// What the page is shown on: a broker, seewhen and a browser, each started here and ended at the end.

"use strict";

const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");

const ROOT = path.resolve(__dirname, "../..");
const RUNTIME = path.join(ROOT, ".runtime");
const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
const STOP_LIMIT = 12000;
/** Of a picture in the documents, bytes. */
const LARGEST = 200 * 1024;

class Failed extends Error {}

/** Writes a screenshot for the documents, with as many colours as fit. */
function keep(picture, name) {
  const folder = path.join(ROOT, "docs/images");
  fs.mkdirSync(folder, { recursive: true });
  for (const colours of ["160", "96", "48"]) {
    const small = spawnSync("pngquant", ["--speed", "1", colours, "-"], { input: picture, maxBuffer: 2 ** 24 });
    if (small.status !== 0) throw new Failed(`pngquant: ${small.error?.message ?? small.stderr}`);
    fs.writeFileSync(path.join(folder, `${name}.png`), small.stdout);
    if (small.stdout.length <= LARGEST) return;
  }
  throw new Failed(`${name}.png is too large`);
}

/** Why there is no browser to be had here, or null. */
function noBrowser() {
  if (!fs.existsSync(path.join(RUNTIME, "browser/node_modules/playwright-core"))) {
    return "no playwright-core in .runtime/browser; run scripts/setup page";
  }
  const chromium = spawnSync("chromium", ["--version"], { stdio: "ignore" });
  return chromium.status === 0 ? null : "chromium does not run; run scripts/setup page";
}

/** Waits until `holds` gives something; what it throws counts as not yet, but for Failed. */
async function until(what, seconds, holds) {
  const end = Date.now() + seconds * 1000;
  let said = "";
  while (Date.now() < end) {
    try {
      const found = await holds();
      if (found) return found;
    } catch (error) {
      if (error instanceof Failed) throw error;
      said = `: ${error.message.split("\n")[0]}`;
    }
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Failed(`${what} did not happen within ${seconds} s${said}`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function answers(port) {
  return new Promise((resolve) => {
    const probe = net.connect(port, "127.0.0.1");
    probe.on("connect", () => resolve(probe.destroy() && true));
    probe.on("error", () => resolve(false));
  });
}

/** The binary after `--seewhen`, or the one of `cargo build --release`. */
function binary() {
  const given = process.argv.indexOf("--seewhen");
  return given < 0 ? path.join(TARGET, "release/seewhen") : path.resolve(process.argv[given + 1]);
}

function fromFolder(route) {
  const name = new URL(route.request().url()).pathname.slice(1) || "index.html";
  return route.fulfill({ path: path.join(ROOT, "src/web/page", name) });
}

class Stage {
  /** Its folder in .runtime is emptied first. */
  constructor(name) {
    this.work = path.join(RUNTIME, name);
    this.binary = binary();
    this.children = [];
    fs.rmSync(this.work, { recursive: true, force: true });
    fs.mkdirSync(this.work, { recursive: true });
  }

  start(name, program, args, env = {}) {
    const log = fs.openSync(path.join(this.work, `${name}.log`), "a");
    // setpriv: even if this script is killed, nothing stays behind.
    const child = spawn("setpriv", ["--pdeathsig", "TERM", program, ...args], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...env },
    });
    fs.closeSync(log);
    child.title = name;
    child.on("error", () => (child.failed = true));
    this.children.push(child);
    return child;
  }

  log(name) {
    return fs.readFileSync(path.join(this.work, `${name}.log`), "utf8");
  }

  async broker() {
    this.brokerPort = await freePort();
    const file = path.join(this.work, "mosquitto.conf");
    fs.writeFileSync(file, `listener ${this.brokerPort} 127.0.0.1\nallow_anonymous true\nuser root\n`);
    this.start("mosquitto", "mosquitto", ["-c", file], { PATH: `${process.env.PATH}:/usr/sbin` });
    await until("an answer of mosquitto", 10, () => answers(this.brokerPort));
    const said = ["-p", String(this.brokerPort), "-F", "%t %p", "-t", "seewhen/#", "-T", "seewhen/+/+/snapshot"];
    this.start("messages", "mosquitto_sub", said);
  }

  /** The payloads that came on a topic since the start. */
  said(topic) {
    const lines = this.log("messages").split("\n");
    return lines.filter((line) => line.startsWith(`${topic} `)).map((line) => line.slice(topic.length + 1));
  }

  /** seewhen with this configuration, once it answers; `${PORT}` in it is where. */
  async seewhen(configuration, patience = 60) {
    this.port ??= await freePort();
    this.address = `http://127.0.0.1:${this.port}`;
    const file = path.join(this.work, "seewhen.toml");
    fs.writeFileSync(file, configuration.replaceAll("${PORT}", this.port));
    const env = {
      SEEWHEN_MQTT__URL: `mqtt://127.0.0.1:${this.brokerPort}`,
      STATE_DIRECTORY: path.join(this.work, "state"),
      ORT_DYLIB_PATH: process.env.ORT_DYLIB_PATH ?? path.join(RUNTIME, "libonnxruntime.so"),
    };
    const child = this.start("seewhen", this.binary, ["run", "--config", file], env);
    this.node = child;
    await until("an answer of seewhen", patience, async () => {
      if (child.exitCode !== null || child.failed) throw new Failed(`seewhen ended; ${this.work}/seewhen.log says why`);
      return (await fetch(`${this.address}/`)).ok;
    });
  }

  /** Sends a command past the page. */
  async command(fields) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${this.address}/api/command`, { method: "POST", headers, body: JSON.stringify(fields) });
    if (!answer.ok) throw new Failed(`${fields.command}: ${await answer.text()}`);
  }

  /** A tab; with PAGE_FILES=1 the page's files come from src/web/page, to change them without a build. */
  async tab(options) {
    const context = await this.chromium.newContext(options);
    if (process.env.PAGE_FILES) await context.route(/:\d+\/([\w.]+)?(#.*)?$/, fromFolder);
    return context.newPage();
  }

  async browser() {
    const { chromium } = require(path.join(RUNTIME, "browser/node_modules/playwright-core"));
    // The sandbox needs a user other than root, and namespaces that containers lack.
    this.chromium = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  }

  async end(child) {
    for (const [sign, patience] of [["SIGTERM", STOP_LIMIT], ["SIGKILL", STOP_LIMIT]]) {
      if (child.exitCode !== null || child.signalCode !== null || child.failed) return;
      child.kill(sign);
      await Promise.race([
        new Promise((ended) => child.once("exit", ended)),
        new Promise((late) => setTimeout(late, patience).unref()),
      ]);
    }
  }

  async stop() {
    await this.chromium?.close();
    for (const child of this.children.reverse()) await this.end(child);
  }
}

module.exports = { Failed, RUNTIME, Stage, keep, noBrowser, until };
