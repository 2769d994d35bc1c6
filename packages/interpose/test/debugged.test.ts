// Case 22: core dumps and readers of /proc/PID/mem (victims/debugged.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("debugged", {
  "a core dump of a process with views ends": "dumps-core",
  "memory can be read from outside once zio_materialise_all was called": "reads-its-memory",
  "a program reads and writes its own memory through /proc/self/mem": "is-a-file",
});
