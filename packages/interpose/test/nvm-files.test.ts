// Files whose writes are logged in a pool (victims/nvm_files.c, nvm_uses.c): a program cannot tell, and what it wrote is there.
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { userfaultfdRefusal } from "./support/both-ways.js";
import { compileVictim } from "./support/compile-victim.js";
import { loggedBothWays } from "./support/logged-files.js";
import { runVictim } from "./support/run-victim.js";

const message = 256 * 1024;

/** How much must have been logged, and by reference, in bytes. */
interface Expected {
  logged?: number;
  byReference?: number;
  left?: number;
  sameFiles?: boolean;
}

type Sentences = Record<string, [args: string, expected: Expected]>;

const calls: Sentences = {
  "large appends go to the log by reference": ["appends", { logged: 24 * message, byReference: 24 * message }],
  "one buffer for every message is logged by reference, and never overwritten before the log is done with it": [
    "one-buffer",
    { logged: 100 * message, byReference: 90 * message },
  ],
  "positions, holes and ends are the kernel's": ["positions", { byReference: message }],
  "vectors are written and read as one": ["vectors", { byReference: message }],
  "what is wrong gets the plain error, and bad memory no harm": ["refusals", { logged: 100_000 }],
  "the limit of a file's size holds": ["limited", { logged: 100_000 }],
  "what was written is there after the process was killed": ["dies", { logged: 12 * message - 66_000 }],
  "what was written is there after _exit": ["leaves-early", { byReference: message }],
  "records of threads that append stay whole": ["threads", { logged: 800_000, sameFiles: false }],
  ...Object.fromEntries(
    [1, 2, 3, 4].map((seed) => [`random calls give the same, seed ${seed}`, [`random ${seed}`, { logged: 1_000_000 }]]),
  ),
};

const uses: Sentences = {
  "files are truncated, allocated and punched": ["truncations", { byReference: message }],
  "files get other names and lose them": ["names", { logged: 300_000 }],
  "sizes and times are those of the log": ["times", { logged: 200 }],
  "descriptors are copied, closed, used again and sent": ["descriptors", { logged: 150_000 }],
  "the file behind a log is never opened on a standard stream's number": ["low-numbers", { logged: 300_000 }],
  "O_DSYNC, O_SYNC and sync write what is logged": ["synchronous", { logged: 240_000 }],
  "streams read and write the same file": ["streams", { logged: 70_000, left: 1 }],
  "mappings show what is written": ["mapped", { byReference: message, left: 1 }],
  "the kernel's own transfers see what is logged": ["transfers", { byReference: message, left: 1 }],
  "O_DIRECT is left to the kernel": ["direct", { logged: 8192, left: 1 }],
};

describe.each(Object.entries({ nvm_files: calls, nvm_uses: uses }))("%s", (victim, sentences) => {
  for (const [sentence, [args, expected]] of Object.entries(sentences))
    test(sentence, { timeout: 100_000 }, async (context) => {
      const refusal = await userfaultfdRefusal();
      if (refusal) context.skip(refusal);
      const { sameFiles } = expected;
      const { stats, plain } = await loggedBothWays({
        victim,
        args: args.split(" "),
        ...(sameFiles === undefined ? {} : { sameFiles }),
      });
      if (plain.status === 77) context.skip(plain.stdout.toString().trim().split("\n").at(-1));
      expect(stats.totals.loggedBytes).toBeGreaterThanOrEqual(expected.logged ?? 1);
      expect(stats.totals.loggedByReferenceBytes).toBeGreaterThanOrEqual(expected.byReference ?? 0);
      if (expected.left !== undefined) expect(stats.totals["fallbacks.nvm-left"]).toBeGreaterThanOrEqual(expected.left);
    });

  test("every sub-case of the victim has a sentence", async () => {
    const program = await compileVictim(victim);
    const { stdout } = await runVictim(program, [], { env: {}, cwd: tmpdir(), timeoutMs: 5000 });
    const named = new Set(Object.values(sentences).map(([args]) => args.split(" ")[0]));
    expect(named).toEqual(new Set(stdout.toString().trim().split("\n")));
  });
});

test.each(["nvm_files appends", "nvm_uses names", "nvm_files random 5"])(
  "without elision %s is logged all the same",
  async (name) => {
    const [victim = "", ...args] = name.split(" ");
    const { stats } = await loggedBothWays({
      victim,
      args,
      env: { ZIO_POLICY: "off" },
    });
    expect(stats.totals.loggedBytes).toBeGreaterThan(0);
    expect(stats.totals.loggedByReferenceBytes).toBe(0);
  },
);

test("a pool on a disk", { timeout: 100_000 }, async () => {
  const { stats } = await loggedBothWays({ victim: "nvm_files", args: ["appends"], poolDirectory: tmpdir() });
  expect(stats.totals.loggedBytes).toBeGreaterThan(24 * message);
  expect(stats.totals.loggedByReferenceBytes).toBe(0);
});

test("a pool that is smaller than what is written", { timeout: 100_000 }, async () => {
  const { stats } = await loggedBothWays({
    victim: "nvm_files",
    args: ["one-buffer"],
    env: { ZIO_NVM_SIZE: "16M" },
  });
  expect(stats.totals.loggedBytes).toBe(100 * message);
  expect(stats.totals.loggedByReferenceBytes).toBeGreaterThan(0);
});
