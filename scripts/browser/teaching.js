// Teaching a label on the page: two clicks, and the frames of an event start none in the next round of the clip.

"use strict";

const { Failed, until } = require("./stage.js");

const FRAMES = "seewhen/page/bikes/street/probabilities";
const THRESHOLD = 0.5;
/** Between two looks at the same frame, probabilities differ by less. */
const EQUAL = 0.001;

/** All frames that were scored since `since`, Unix seconds: [{time, key, cyclist}]; the key is the same for the same one. */
function frames(stage, since) {
  const frame = (said) => {
    const { time, probabilities } = JSON.parse(said);
    const { cyclist, ...others } = probabilities;
    // What the other labels say is what it was: a taught label takes nothing from them.
    return { time, key: JSON.stringify(others), cyclist };
  };
  return stage.said(FRAMES).map(frame).filter(({ time }) => time > since);
}

/** These frames once more, as they are scored in the next rounds of the clip: how high each gets. */
async function seenAgain(stage, keys, loop) {
  const since = Date.now() / 1000;
  const again = () => frames(stage, since).filter(({ key }) => keys.has(key));
  await until("the same frames again", 4 * loop, () => again().length >= keys.size);
  return again();
}

/** The newest event of the cyclist that has ended, and its frames. */
async function newestEvent(stage) {
  const answer = await fetch(`${stage.address}/api/events?camera=bikes&label=cyclist&limit=5`);
  const event = (await answer.json()).events.find(({ type }) => type === "end");
  const within = ({ time }) => time >= event.start_time && time <= event.end_time;
  const seen = frames(stage, 0).filter(within);
  return seen.length > 0 && { event, seen: new Map(seen.map(({ key, cyclist }) => [key, cyclist])) };
}

/** "This is not" on an event: in the next round its frames start none. */
async function eventIsTaught(visit, loop) {
  const { page, stage } = visit;
  await until("a round of the clip", 3 * loop, () => {
    const seen = frames(stage, 0);
    return seen.length > 0 && seen.at(-1).time - seen[0].time > loop;
  });
  await visit.goto("events");
  const { event, seen } = await until("an event that has ended", 2 * loop, () => newestEvent(stage));
  await page.locator(`.wide-events li[data-id="${event.id}"] > button`).click();
  const dialog = page.locator("dialog");
  await dialog.getByRole("button", { name: "This is not" }).click();
  const told = dialog.locator(".teach .told", { hasText: /cyclist: 0 show it, \d+ (do|does) not/ });
  await told.waitFor();
  await until("an undo beside it", 5, () => told.getByRole("button", { name: "Undo" }).isVisible());
  await visit.fits();
  await visit.shot("teach");
  await page.keyboard.press("Escape");
  const again = await seenAgain(stage, new Set(seen.keys()), loop);
  const before = Math.max(...seen.values());
  const after = Math.max(...again.map(({ cyclist }) => cyclist));
  if (before < THRESHOLD || after >= THRESHOLD) throw new Failed(`the event's frames get to ${after}, before ${before}`);
  console.log(`page: two clicks, and frames of an event get to ${after} in place of ${before}`);
  visit.seen = seen;
}

/** What the label says of itself: how many frames, how good, and what to mark next. */
async function panelTells(visit) {
  const { page } = visit;
  await visit.goto("cameras");
  await visit.bar("cyclist").locator(".by", { hasText: "taught" }).waitFor();
  await visit.bar("cyclist").locator(".why").click();
  const panel = page.locator("dialog .taught");
  await panel.locator(".counts", { hasText: /^\d+ frames?: 0 show it, \d+ (do|does) not/ }).waitFor();
  await panel.locator(".score", { hasText: "Not enough to tell" }).waitFor();
  const next = panel.locator("figure").first();
  await until("frames to mark next", 10, () => next.locator("img").evaluate((image) => image.naturalWidth > 0));
  await next.getByRole("button", { name: "This is it" }).click();
  await next.locator(".told", { hasText: "1 shows it" }).waitFor();
  await panel.locator(".counts", { hasText: "1 shows it" }).waitFor();
  await visit.fits();
  await panel.evaluate((part) => part.scrollIntoView());
  await visit.shot("taught");
  await panel.getByRole("button", { name: "Undo last" }).click();
  await panel.locator(".counts", { hasText: "0 show it" }).waitFor();
  if (await next.getByRole("button", { name: "Undo" }).isVisible()) throw new Failed("an undo is left that would take back something else");
}

/** From there: with the event's frames taken back too, they are what they were. */
async function undoneItIsBack(visit, loop) {
  const { page, stage, seen } = visit;
  await page.locator("dialog .taught").getByRole("button", { name: "Undo last" }).click();
  await page.locator("dialog .taught .counts", { hasText: "nothing is taught any more" }).waitFor();
  await page.keyboard.press("Escape");
  const again = await seenAgain(stage, new Set(seen.keys()), loop);
  const other = again.filter(({ key, cyclist }) => Math.abs(cyclist - seen.get(key)) > EQUAL);
  if (other.length > 0) throw new Failed(`undone, ${other[0].cyclist} is not what it was: ${seen.get(other[0].key)}`);
  await until("the bar's mark gone", 5, async () => (await visit.bar("cyclist").locator(".by").textContent()) === "");
}

/** A search result teaches the label that is chosen, and the choice is remembered. */
async function resultIsTaught(visit) {
  const { page } = visit;
  const hits = page.locator(".hits figure");
  const choose = hits.first().getByRole("combobox");
  await choose.selectOption("street/bicycle");
  await hits.first().getByRole("button", { name: "This is it" }).click();
  const told = hits.first().locator(".told", { hasText: "bicycle: 1 shows it, 0 do not" });
  await told.waitFor();
  await visit.fits();
  await told.getByRole("button", { name: "Undo" }).click();
  await hits.first().locator(".told", { hasText: "nothing is taught any more" }).waitFor();
  await hits.first().locator(".thumb").click();
  const chosen = page.locator("dialog .teach select");
  if ((await chosen.inputValue()) !== "street/bicycle") throw new Failed("the choice was forgotten");
  await page.keyboard.press("Escape");
}

module.exports = { eventIsTaught, panelTells, resultIsTaught, undoneItIsBack };
