// Traps 8 and 9: events without a pause (victims/advisers.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim(
  "advisers",
  {
    "a thread receives, copies and touches while three others advise memory away all the time": "goes-on",
    "a thread forks while three others advise memory away all the time": "forks",
  },
  { expectElision: { elided: 0 }, timeoutMs: 40_000 },
);

// Trap 8 again: the thread that reads events must be able to, whoever waits (victims/patchwork.c).
describeVictim(
  "patchwork",
  { "a copy takes pages of many mappings while a crowd of threads advises memory away": "crowd-of-advisers" },
  { expectElision: { elided: 0 }, timeoutMs: 40_000 },
);
