// Trap 22: programs with a userfaultfd of their own (victims/own_faults.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("own_faults", {
  "memory that holds views may be registered by the program": {
    args: ["registers"],
    expectElision: { elided: 12 * 150 * 1024 },
  },
  "a program serves its own faults where zIO served them before": "serves",
  "the program may move pages away that hold views": "moves",
  "requests that make no sense fail as they do plain": "refused",
});
