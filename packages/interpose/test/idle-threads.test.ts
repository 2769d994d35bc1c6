// Traps 4 and 9: what waits for a thread that hardly runs, and what a snapshot costs (victims/idle_threads.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("idle_threads", {
  "a thread of the lowest priority may raise events while others receive": "idle-adviser",
  "a child that reads what its parent received has no copy of it": {
    args: ["snapshot"],
    // Before Linux 6.8 fork fills by copying, and the pool keeps up to 256 MiB of what is free then.
    modes: ["always", "learn"],
    expectElision: { elided: 150 * 1024 * 1024 },
  },
});
