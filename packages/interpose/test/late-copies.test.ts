// What `learn` makes of inputs that nobody copies, or only later (victims/late_copies.c).
import { expect, test } from "vitest";
import { bothWays } from "./support/both-ways.js";

const valueBytes = 256 << 10;
const values = 40;
const rounds = 200;
/** The defaults, whatever was measured here. */
const env = { ZIO_COSTS: "" };

test("a site whose inputs nobody copies is left alone after a dozen", async (context) => {
  const run = { victim: "late_copies", args: ["passed-on"], env, expectElision: { elided: 0 } };
  const { zio } = await bothWays(run, context);
  expect(zio.always?.stats.totals.redirectedBytes).toBe((values + rounds) * valueBytes);
  const { redirectedBytes = 0, "fallbacks.backed-off": leftAlone = 0 } = zio.learn?.stats.totals ?? {};
  expect(redirectedBytes).toBeLessThan(20 * valueBytes);
  expect(leftAlone).toBeGreaterThan(values + rounds - 20);
});

test("a copy of what such a site brought calls it back", async (context) => {
  const { zio } = await bothWays({ victim: "late_copies", args: ["copied-late"], env }, context);
  const { redirectedBytes = 0, elidedBytes = 0 } = zio.learn?.stats.totals ?? {};
  expect(redirectedBytes).toBeLessThan((values + rounds - 20) * valueBytes); // it had been left alone
  expect(elidedBytes).toBeGreaterThan((rounds - values) * valueBytes * 0.9);
});

test("a buffer that is copied to from views and from memory in turn stays memory", async (context) => {
  const { zio } = await bothWays({ victim: "late_copies", args: ["overwritten-in-turn"], env }, context);
  const { keptBytes = 0, materialisedBytes = 0 } = zio.learn?.stats.totals ?? {};
  expect(keptBytes).toBeGreaterThan(0.9 * rounds * valueBytes);
  expect(materialisedBytes).toBeLessThan(0.1 * rounds * valueBytes);
});

test("what a site that failed has left behind becomes memory before anybody touches it", async (context) => {
  const dear = { ZIO_COSTS: "input=200000" };
  const { zio } = await bothWays(
    { victim: "late_copies", args: ["left-behind"], env: dear, modes: ["learn"] },
    context,
  );
  const { elidedBytes = 0, "fallbacks.backed-off": leftAlone = 0, faults } = zio.learn?.stats.totals ?? {};
  expect(elidedBytes).toBeGreaterThan(2 * valueBytes);
  expect(leftAlone).toBeGreaterThan(rounds);
  expect(faults).toBe(0);
});
