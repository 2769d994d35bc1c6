// Power cuts, enumerated: see test/native/crash_test.c. And the same with mistakes put into the sources, which must be found.
import { randomInt } from "node:crypto";
import { runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { compileNative } from "./support/compile-native.js";
import { withMistake } from "./support/mutant.js";

const seed = process.env.ZIO_TEST_SEED ?? String(randomInt(2 ** 31));
/** More for a soak: `ZIO_NVM_HISTORIES=500 npm test -- packages/nvm/test/crashes.test.ts`. */
const histories = process.env.ZIO_NVM_HISTORIES ?? "6";
console.log(`power cuts run with ZIO_TEST_SEED=${seed}`);

test("after a power cut at any moment a prefix of the writes is there, with all that was acknowledged", async () => {
  const program = await compileNative("crash_test", {});
  const { status, stdout, stderr } = await runProgram(program, ["/dev/shm", seed, histories], { timeoutMs: 600_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const [, states = "0", repairs = "0"] =
    /^(\d+) states at \d+ points, built anew (\d+) times/.exec(stdout.toString()) ?? [];
  expect(Number(states)).toBeGreaterThan(1000);
  expect(Number(repairs)).toBeGreaterThan(0);
}, 600_000);

/** Name, file, what stands there, what is put there instead. */
const mutants: [string, string, string, string][] = [
  [
    "the data of a record is not flushed",
    "nvm_commit.c",
    "zio_pm_flush(&pool->pm, batch, record->data, record->length);",
    "(void)batch;",
  ],
  [
    "the records are not flushed",
    "nvm_commit.c",
    "flush_ring(pool, &batch, from, end.at, cursor.walked > 0);",
    "(void)from;",
  ],
  [
    "there is no fence before the commit",
    "nvm_commit.c",
    "        if (!alone)\n            result = zio_pm_fence(&pool->pm, &batch);\n",
    "",
  ],
  ["the commit is not flushed", "nvm_commit.c", "flush_ring(pool, &batch, end.at, head, true);", "(void)head;"],
  [
    "there is no fence after the commit",
    "nvm_commit.c",
    "flush_ring(pool, &batch, end.at, head, true);\n        result = zio_pm_fence(&pool->pm, &batch);",
    "flush_ring(pool, &batch, end.at, head, true);",
  ],
  [
    "the commit comes before the data",
    "nvm_commit.c",
    "int result = flush_records(pool, &batch, &cursor, end.sequence);",
    "put_commit(pool, covered, covered, alone);\n    int result = flush_records(pool, &batch, &cursor, end.sequence);",
  ],
  [
    "a commit that had no fence before it is believed without proof",
    "nvm_scan.c",
    "committed.durable == committed.last || is_proved(pool, tail, committed)",
    "true || is_proved(pool, tail, committed)",
  ],
  [
    "the data that prove a commit are not looked at",
    "nvm_scan.c",
    "!is_possible(pool, record) || !has_good_data(pool, record) ||",
    "!is_possible(pool, record) ||",
  ],
  [
    "a commit claims that more was durable before it",
    "nvm_commit.c",
    "commit.data = alone ? durable : 0;",
    "commit.data = alone ? covered : durable;",
  ],
  [
    "the first commit after a death does not know what was durable",
    "nvm_commit.c",
    "bool alone = pool->one_fence && !state->doubtful;",
    "bool alone = pool->one_fence;",
  ],
  ["the superblock is not flushed", "nvm_super.c", "zio_pm_flush(&pool->pm, &batch, at, sizeof pool->super);", ""],
  [
    "the target is not synced before its log is given up",
    "nvm_apply.c",
    "observer->file_sync(observer->context, fd);",
    "(void)observer;",
  ],
];

test.each(mutants)(
  "it would be noticed if %s",
  async (_, file, correct, wrong) => {
    // Few histories find each of them; the seeds differ from run to run.
    const { status, stderr } = await withMistake({ file, correct, wrong }, async (directory) =>
      runProgram(await compileNative("crash_test", { flags: ["-O0"] }, directory), ["/dev/shm", seed, "40"], {
        timeoutMs: 120_000,
      }),
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(/^crash state \d+ of history/m);
  },
  120_000,
);
