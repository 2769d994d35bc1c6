// Case 18: calls that never come back, and what they held (victims/abandoned.c, handlers.c).
import { expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

const env = { ZIO_MEMORY_LIMIT: "16M" };

describeVictim("abandoned", {
  "a thread may be cancelled in every hooked call, and its clean-up may copy and send": "cancelled-at-points",
  "it may be cancelled at any instruction of one": "cancelled-at-once",
  "it may end itself in a handler that interrupts one": "exit-in-handler",
  "origins of output that was left by siglongjmp are used again": {
    args: ["left-by-longjmp"],
    env,
    expectElision: { elided: 40 * 128 * 1024 },
  },
});

test("copies that were left by siglongjmp hold no origin", { timeout: 100_000 }, async (context) => {
  const { zio } = await bothWays({ victim: "handlers", args: ["jumped-out"] }, context);
  expect(zio.always!.stats.totals.redirectedBytes).toBeGreaterThan(16 << 20);
  // One is being filled; of the last calls that were left a few may not be known to be dead yet.
  for (const run of Object.values(zio)) expect(run.stats.totals.origins).toBeLessThan(20);
});
