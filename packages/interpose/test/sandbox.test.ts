// Trap 5: programs that confine themselves (victims/sandbox.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("sandbox", {
  "strict mode leaves a process with views all it had": "strict",
  "a filter installed by prctl kills nobody for zIO's calls": "by-prctl",
  "a filter installed by the seccomp call kills nobody": "by-seccomp",
  "a filter that comes over busy threads kills nobody": "over-threads",
});
