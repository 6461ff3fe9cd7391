// What seewhen runs for scripts/page: the demo's footage, from files in a loop.

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { RUNTIME } = require("./stage.js");

/** The street clip, whose times are in models/mini/MODEL_CARD.md, and the second one where it is. */
module.exports = function configuration() {
  const clip = (name) => path.join(RUNTIME, "demo", name);
  const second = fs.existsSync(clip("vtest.avi")) ? clip("vtest.avi") : clip("bikes.mp4");
  return `
node = "page"
[model]
bundle = "mini"
device = "cpu"
precision = "original"
[mqtt]
discovery = ""
[web]
listen = "127.0.0.1:\${PORT}"
[embeddings]
pictures = true

[[camera]]
id = "bikes"
source = "file:${clip("bikes.mp4")}"
every = "250ms"
fit = "crop"
loop = true

[[camera]]
id = "square"
source = "file:${second}"
every = "1s"
fit = "crop"
loop = true

[[watch]]
id = "street"
cameras = ["bikes"]
publish_every = "0s"

[[watch.label]]
id = "cyclist"
prompts = ["a cyclist", "a man riding a bicycle"]
threshold = 0.50
clear = 0.45

[[watch.label]]
id = "bicycle"
prompts = ["a bicycle on the pavement"]
threshold = 0.45
clear = 0.30

[[watch.label]]
id = "cars"
prompts = ["cars on a street"]

[[watch.label]]
id = "suit"
prompts = ["a man in a suit"]

[[watch]]
id = "square"
cameras = ["square"]

[[watch.label]]
id = "people"
prompts = ["people walking on a street"]
threshold = 0.50
clear = 0.20
hold = "1s"
cooldown = "10s"

[[watch.label]]
id = "empty"
prompts = ["an empty street"]

[[watch.label]]
id = "parking"
prompts = ["a parking lot with cars"]
`;
};
