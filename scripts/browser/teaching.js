// Teaching a label on the page: two clicks, and the next round of the clip gives no such event.

"use strict";

const { Failed, until } = require("./stage.js");

const EVENTS = "seewhen/page/bikes/street/cyclist/event";
/** A frame on its way when something is taught is scored as before, seconds. */
const SETTLED = 2;

/** The probabilities of the cyclist from `since` on, Unix seconds: [[time, probability]]. */
async function curve(stage, since) {
  const answer = await fetch(`${stage.address}/api/cameras/bikes/curves`);
  return (await answer.json())["street/cyclist"].filter(([time]) => time > since);
}

/** How high the cyclist gets in the next round of the clip, and how often there is an event. */
async function nextRound(stage, loop) {
  const since = Date.now() / 1000 + SETTLED;
  const points = await until("a round of the clip", 3 * loop, async () => {
    const points = await curve(stage, since);
    return points.length && points.at(-1)[0] > since + loop && points;
  });
  const starts = stage.said(EVENTS).map((said) => JSON.parse(said)).filter(({ type, start_time: time }) => type === "start" && time > since);
  return { highest: Math.max(...points.map(([, p]) => p)), starts: starts.length };
}

/** "This is not" on an event: it is gone from the next round. Undone, it is back. */
async function eventIsTaught(visit, loop) {
  const { page, stage } = visit;
  await visit.goto("events");
  await page.locator(".wide-events li:not(.on) button", { hasText: "cyclist" }).first().click();
  const dialog = page.locator("dialog");
  await dialog.getByRole("button", { name: "This is not" }).click();
  const told = dialog.locator(".teach .told", { hasText: /cyclist: 0 show it, \d+ do not/ });
  await told.waitFor();
  await until("an undo beside it", 5, () => told.getByRole("button", { name: "Undo" }).isVisible());
  await visit.fits();
  await visit.shot("teach");
  await page.keyboard.press("Escape");
  const before = Math.max(...(await curve(stage, 0)).map(([, p]) => p));
  const { highest, starts } = await nextRound(stage, loop);
  if (starts > 0) throw new Failed(`an event of what was taught not to be one: ${highest}, before ${before}`);
  if (highest > before - 0.1) throw new Failed(`the label is as it was: ${highest}, before ${before}`);
  console.log(`page: taught with two clicks, the cyclist gets to ${highest} in place of ${before}, and starts no event`);
}

/** What the label says of itself: how many frames, how good, and what to mark next. */
async function panelTells(visit) {
  const { page } = visit;
  await visit.goto("cameras");
  await visit.bar("cyclist").locator(".by", { hasText: "taught" }).waitFor();
  await visit.bar("cyclist").locator(".why").click();
  const panel = page.locator("dialog .taught");
  await panel.locator(".counts", { hasText: /^\d+ frames: 0 show it, \d+ do not/ }).waitFor();
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

/** From there: with the event's frames taken back too, it fires as before. */
async function undoneItIsBack(visit, loop) {
  const { page, stage } = visit;
  await page.locator("dialog .taught").getByRole("button", { name: "Undo last" }).click();
  await page.locator("dialog .taught .counts", { hasText: "nothing is taught any more" }).waitFor();
  await page.keyboard.press("Escape");
  const { highest, starts } = await nextRound(stage, loop);
  if (starts === 0 || highest < 0.5) throw new Failed(`undone, the label does not fire again: ${highest}`);
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
