// One logged file in several processes (victims/nvm_processes.c): forked, executed, spawned, killed.
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { userfaultfdRefusal } from "./support/both-ways.js";
import { compileVictim } from "./support/compile-victim.js";
import { loggedBothWays } from "./support/logged-files.js";
import { runVictim } from "./support/run-victim.js";

/** How much must have been logged, in bytes; and whether both runs leave the same files. */
type Expected = [args: string, loggedBytes: number, byReferenceBytes: number, sameFiles: boolean];

const sentences: Record<string, Expected> = {
  "parent and child write in turns by one open file": ["in-turns", 480_000, 300_000, true],
  "records of processes that append stay whole": ["appenders", 4 * 300 * 700, 0, false],
  "processes go on when others are killed in the middle of appending": ["killed", 120 * 700, 0, false],
  "programs that are executed see what is logged": ["executed", 131_072, 131_072, true],
  "a reader follows a writer": ["follower", 20 * 60_000, 19 * 60_000, true],
  "record locks stay until the program closes the file": ["locked", 50_700, 0, true],
  "record locks of a descriptor that only reads stay when the process opens the file to write": [
    "locked-by-reader",
    50_000,
    0,
    true,
  ],
  "a process that may only read a logged file reads what the log lacks": ["without-rights", 20, 0, true],
  "a file that two processes map is the kernel's until neither does": ["left-by-both", 60_000, 0, true],
  "quick_exit leaves a file that has everything": ["quits", 131_072, 131_072, true],
  "_exit in a daemon whose parent is gone leaves a file that has everything": ["daemonised", 181_072, 131_072, true],
  "no thread of the pool keeps the user that the program was": ["another", 2 * 131_072, 0, true],
  "a process that logs enters a user namespace": ["namespace", 2 * 131_072, 0, true],
  "views that a child inherits are its own": ["inherited", 16 * 131_072, 6 * 131_072, true],
};

/** Their last process ends by itself, so that nothing is left to be recovered. */
const ownEndings = ["quits", "daemonised", "another", "namespace"];

describe("nvm_processes", () => {
  for (const [sentence, [args, logged, byReference, sameFiles]] of Object.entries(sentences))
    test(sentence, { timeout: 100_000 }, async (context) => {
      const refusal = await userfaultfdRefusal();
      if (refusal) context.skip(refusal);
      const recovers = !ownEndings.includes(args);
      const { stats } = await loggedBothWays({ victim: "nvm_processes", args: [args], sameFiles, recovers });
      expect(stats.totals.loggedBytes).toBeGreaterThanOrEqual(logged);
      expect(stats.totals.loggedByReferenceBytes).toBeGreaterThanOrEqual(byReference);
    });

  test("every sub-case of the victim has a sentence", async () => {
    const program = await compileVictim("nvm_processes");
    const { stdout } = await runVictim(program, [], { env: {}, cwd: tmpdir(), timeoutMs: 5000 });
    const named = new Set(Object.values(sentences).map(([args]) => args));
    expect(named).toEqual(new Set(stdout.toString().trim().split("\n")));
  });
});
