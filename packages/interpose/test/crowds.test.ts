// Cases 16 and 17: many threads on one view while the process forks, remaps and receives (victims/crowds.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("crowds", {
  "threads that touch a view see it go forward only while the process forks, and each child sees it whole":
    "faults-and-forks",
  "threads touch the lower half of a mapping while the upper one is moved away and back": "neighbours-move",
  "a copy taken under a lock stays what it was while the buffer is received into again": "handed-over",
});
