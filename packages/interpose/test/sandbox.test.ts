// Trap 5: programs that confine themselves, or are born confined (victims/sandbox.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("sandbox", {
  "strict mode leaves a process with views all it had": "strict",
  "a filter installed by prctl kills nobody for zIO's calls": "by-prctl",
  "a filter installed by the seccomp call kills nobody": "by-seccomp",
  "a filter that comes over busy threads kills nobody": "over-threads",
  "a filter that comes over a thread that waits for input kills nobody": "over-waiting",
  "a confined program ends as it does plain": "exits",
  "threads and children under a filter end and begin": "goes-on",
  "questions about seccomp change nothing": { args: ["asks"], expectElision: { elided: 10 * 192 * 1024 } },
  "under a filter that is known zIO works, and stays out where a call is refused": {
    args: ["born-known"],
    expectElision: { elided: 6 * 192 * 1024 },
  },
  "a filter of what zIO may try, there at the start, kills nobody": "born-filtered",
  "a process that may only do what it does plain lives": "born-confined",
});
