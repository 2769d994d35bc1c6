import { describeVictim } from "./support/both-ways.js";

describeVictim("splits", {
  "views across several mappings are filled in order": "look",
  "views across several mappings are filled backwards": "look-backwards",
  "views across several mappings are filled here and there": "look-here-and-there",
  "views across several mappings are overwritten": "overwrite",
  "views across several mappings move within themselves": "copy-within",
  "views across several mappings are received into again": "receive-again",
  "views across several mappings are seen by a child and kept by its parent": "fork",
  "views across several mappings are written by a raw system call": "write-raw",
  "views across several mappings are discarded in part": "discard",
  "views across several mappings are locked, unlocked and protected": "unlock-and-protect",
  "views across several mappings keep their bytes when they grow": "resize",
});
