// Traps 8, 9, 13 and 16: threads against threads (victims/map_storm.c, stamps.c).
import { describeVictim } from "./support/both-ways.js";
import { tooSmall } from "./support/elision.js";

describeVictim("map_storm", {
  "views at addresses that another thread unmaps and gives back": "hooked",
  "views at addresses given back by raw system calls": "raw",
  "views at addresses given back both ways": "mixed",
  "views next to memory that is advised away or mapped over": "advised",
  "views that are moved by mremap while others are made": "moved",
});

describeVictim("stamps", {
  "no word goes back while copies replace views": "copies",
  "no word goes back while input replaces views": { args: ["inputs"], expectElision: { elided: 0 } },
  "no reader, copy or output sees a word go back": "all",
  "no word goes back while pieces of pages are replaced": { args: ["pieces"], underLearn: tooSmall },
  "no word goes back under memmove and output": "moves",
  "two threads may own halves of one page": { args: ["shared-pages"], underLearn: tooSmall },
  "a word that a thread owns keeps its count while input fills the rest": {
    args: ["neighbours"],
    underLearn: tooSmall,
    expectElision: { elided: 0 },
  },
});
