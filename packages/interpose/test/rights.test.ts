// Case 19: programs that give up rights after their start (victims/rights.c).
import { expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

/** Of each round of work three quarters can be elided again, at least. */
const rounds = (count: number) => ({ elided: count * 144 * 1024 });
/** A process, its child and its grandchild, each two rounds; ten times in all the ways together. */
const allWays = 10 * 6;

describeVictim("rights", {
  "who gives up rights with views pending elides, and so do its children": {
    args: ["at-work"],
    expectElision: rounds(6 + allWays),
  },
  "who gives them up before its first large input elides, and so do its children": {
    args: ["idle"],
    expectElision: rounds(allWays),
  },
  "who does so by calls that no hook sees and had views elides": { args: ["unseen"], expectElision: rounds(5) },
  "threads may give up rights one by one": { args: ["thread-by-thread"], expectElision: rounds(12) },
  "a thread that gives up rights to files before the first large input elides": {
    args: ["to-files"],
    expectElision: rounds(8),
  },
  "under Landlock a process goes on eliding": { args: ["landlocked"], expectElision: rounds(5) },
});

test("who did so before its first large input, by calls that no hook sees, is counted", async (context) => {
  const { zio } = await bothWays({ victim: "rights", args: ["unseen"], modes: ["always"] }, context);
  expect(zio.always?.stats.totals["fallbacks.unavailable"]).toBe(1);
});
