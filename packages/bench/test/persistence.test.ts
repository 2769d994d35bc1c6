// Small real runs of the workloads with a pool. Never their speed.
import { expect, type TestContext, test } from "vitest";
import { BenchError, run } from "../src/index.js";
import { orSkip } from "./support/skips.js";

function orMissing<Result>(context: TestContext, running: Promise<Result>): Promise<Result> {
  const installed = running.catch((error: unknown) => {
    if (error instanceof BenchError && error.code === "missing-program") context.skip(error.message);
    throw error;
  });
  return orSkip(context, installed);
}

test("Redis logs its file in the pool, in memory and on disk, and a plain Redis can read it", async (context) => {
  const few = { pairs: 1, policy: "always", valueBytes: [64 << 10], operations: 300 } as const;
  const record = await orMissing(context, run("aof", { ...few, valueBytes: [...few.valueBytes] }));
  const onDisk = record.skipped === undefined;
  expect(record.rows).toHaveLength(onDisk ? 3 : 1);
  for (const cell of record.cells) {
    expect(cell.verified).toEqual(["plain", "zio"]);
    const { counters, operations } = cell.samples.find(({ contender }) => contender === "zio")!.values;
    expect(operations).toBe(300);
    expect(counters?.loggedBytes).toBeGreaterThan(300 * (64 << 10));
    // On a disk input does not land in the pool: its pages cost more there than a copy.
    if (cell.parameters.phase === "memory") expect(counters?.loggedByReferenceBytes).toBeGreaterThan(0);
    else expect(counters?.loggedByReferenceBytes ?? 0).toBe(0);
  }
  for (const { throughput } of record.rows) expect(throughput.median).toBeGreaterThan(0);
  expect(record.targets.map(({ bound }) => bound)).toEqual([1.5]);
});

test("a log is applied after a kill and by a digest, with every byte compared", async (context) => {
  const record = await orMissing(context, run("recovery", { pairs: 1, logBytes: 8 << 20, media: ["memory"] }));
  const [row] = record.rows;
  expect(row?.recoverySeconds.median).toBeGreaterThan(0);
  expect(row?.digestSpeed.median).toBeGreaterThan(0);
  expect(record.targets).toHaveLength(2);
});
