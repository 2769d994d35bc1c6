// Cases 7, 13, 16 and 22: what few programs do (victims/uncommon.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("uncommon", {
  "guard regions stop input, output and copies, and leave zeros": {
    args: ["guards"],
    // Before Linux 6.8 there are neither UFFDIO_MOVE nor guard regions.
    modes: ["always", "learn"],
  },
  "what is refused of a sealed mapping changes nothing": "sealed",
  "advice from outside ends contents, by any call": "from-outside",
  "settings of process and memory leave views alone": "settings",
  "a tracer may stop the process at every system call": "traced",
  "another layout of the address space makes no difference": "layout",
  "two thousand threads with the smallest stacks": "thousands-of-threads",
  "a line of 120 children, each the child of the last": "line-of-children",
});
