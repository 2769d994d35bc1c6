// Processes that share a pool, and die: test/native/tree_test.c and steps_test.c. And the same with mistakes put into the
// sources, which must be found.
import { randomInt } from "node:crypto";
import { tmpdir } from "node:os";
import { runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { compileNative, native } from "./support/compile-native.js";
import { withMistake } from "./support/mutant.js";

const seed = process.env.ZIO_TEST_SEED ?? String(randomInt(2 ** 31));
/** More for a soak: `ZIO_NVM_KILLS=200 npm test -- packages/nvm -t killed`. */
const kills = process.env.ZIO_NVM_KILLS ?? "20";
/** All of them: `ZIO_NVM_STEP=1 npm test -- packages/nvm -t "basic blocks"`. */
const stride = process.env.ZIO_NVM_STEP ?? "251";
console.log(`processes die with ZIO_TEST_SEED=${seed}`);

function runTree(program: string, directory: string, count: string, from = Number(seed)) {
  return runProgram(program, [directory, String(from), count], { timeoutMs: 300_000 });
}

/** A program that dies at each basic block, every `stride`th, from one on that the seed tells. */
async function runSteps(stride: string, from: string = native) {
  const program = await compileNative("steps_test", { flags: ["-fsanitize-coverage=trace-pc"] }, from);
  const first = String(1 + (Number(seed) % Number(stride)));
  return runProgram(program, ["/dev/shm", first, stride], { timeoutMs: 3_000_000 });
}

test.each([
  ["/dev/shm", String(Number(kills) * 5)],
  [tmpdir(), kills],
])(
  "in %s processes that share a pool lose nothing when %s of them are killed at random moments",
  async (directory, count) => {
    const { status, stdout, stderr } = await runTree(await compileNative("tree_test", {}), directory, count);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.toString()).toMatch(/^\d+ killed in \d+ rounds/);
  },
  300_000,
);

test(`a process that dies at any of its basic blocks, every ${stride}th, harms no other`, async () => {
  const { status, stdout, stderr } = await runSteps(stride);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const [deaths = 0, ...stages] = [...stdout.toString().matchAll(/\d+/g)].map(Number);
  expect(deaths).toBeGreaterThan(20);
  // While it opens, appends, attaches, digests, changes, leaves and closes.
  expect(stages.filter((count) => count > 0).length).toBeGreaterThan(5);
}, 3_000_000);

test.each([
  [
    "what a dead process left half done is taken for good",
    "nvm_lock.c",
    "if (atomic_load(&pool->shared->busy))",
    "if (0)",
  ],
  [
    "the blocks of the dead are not given back",
    "nvm_member.c",
    "    if (atomic_load(&member->owns))\n        nvm__disown_all(pool, slot);\n",
    "",
  ],
  ["a file that the dead changed by the kernel is not looked at anew", "nvm_log.c", "if (shared->altering)", "if (0)"],
])(
  "it would be noticed if %s",
  async (_, file, correct, wrong) => {
    const { status } = await withMistake({ file, correct, wrong }, (directory) => runSteps("97", directory));
    expect(status).toBe(1);
  },
  300_000,
);

/** Chance finds these: as many runs as it takes, each with a seed of its own. */
const runsAtMost = 8;

test.each([
  [
    "a holder that lives is robbed of its lock",
    "nvm_lock.c",
    `        long result = zio_syscall(SYS_futex, &lock->word, FUTEX_WAIT, word, &look);
        if (result != -ETIMEDOUT || !is_holder_dead(pool, word))
            continue;
`,
    `        const struct timespec soon = {.tv_sec = 0, .tv_nsec = look.tv_nsec / 1000};
        zio_syscall(SYS_futex, &lock->word, FUTEX_WAIT, word, &soon);
        (void)is_holder_dead;
`,
  ],
  [
    "readers do not look whether the log was retired meanwhile",
    "nvm_read.c",
    "atomic_load(&file->pool->shared->retired) == retired",
    "true",
  ],
])(
  "it would be noticed, among random kills, if %s",
  async (_, file, correct, wrong) => {
    const found = await withMistake({ file, correct, wrong }, async (directory) => {
      const program = await compileNative("tree_test", {}, directory);
      for (let run = 0; run < runsAtMost; run++)
        if ((await runTree(program, "/dev/shm", "1000", Number(seed) + run)).status !== 0) return true;
      return false;
    });
    expect(found).toBe(true);
  },
  600_000,
);
