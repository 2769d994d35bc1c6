// Small real runs of the workloads with servers of other people. Never their speed.
import { expect, type TestContext, test } from "vitest";
import { BenchError, run } from "../src/index.js";
import type { Observation } from "../src/load.js";
import type { RecordedCell } from "../src/record.js";
import { orSkip } from "./support/skips.js";

const few = { pairs: 1, policy: "always" } as const;

/** Skips, with what to install, where a program is missing. */
function orMissing<Result>(context: TestContext, running: Promise<Result>): Promise<Result> {
  const installed = running.catch((error: unknown) => {
    if (error instanceof BenchError && error.code === "missing-program") context.skip(error.message);
    throw error;
  });
  return orSkip(context, installed);
}

function zioSample({ samples }: RecordedCell<unknown, Observation>): Observation {
  return samples.find(({ contender }) => contender === "zio")!.values;
}

test("Redis stores and returns what it got, elided, with and without its file", async (context) => {
  const options = { ...few, valueBytes: [64 << 10], operations: 40 };
  const record = await orMissing(context, run("redis", options));
  expect(record.rows.map(({ name }) => name)).toEqual([
    "SET 64 KiB",
    "GET 64 KiB",
    "A 64 KiB",
    "SET 64 KiB, AOF",
    "A 64 KiB, AOF",
  ]);
  for (const cell of record.cells) {
    expect(cell.verified).toEqual(["plain", "zio"]);
    const { operations, cpuNs, counters, latencyNs } = zioSample(cell);
    expect(operations).toBe(40);
    expect(cpuNs).toBeGreaterThan(0);
    expect(latencyNs.p999).toBeGreaterThanOrEqual(latencyNs.p50);
    expect(counters?.redirectedBytes, cell.name).toBeGreaterThan(0);
    expect(counters?.elidedBytes, cell.name).toBeGreaterThan(0);
  }
  expect(record.targets).toHaveLength(10);
});

test("servers of small data run under zIO, and a missing one is skipped with its package", async (context) => {
  const record = await orMissing(context, run("small", { ...few, valueBytes: [1024], operations: 50 }));
  for (const cell of record.cells) expect(zioSample(cell).operations).toBe(50);
  for (const { reason } of record.skipped ?? []) expect(reason).toMatch(/^\S+ is not installed: apt-get install \S+$/);
  expect(record.cells.length + (record.skipped?.length ?? 0)).toBe(3);
});

test("memory is that of a server that still has what was not deleted", async (context) => {
  const record = await orMissing(context, run("memory", { ...few, totalBytes: 24 << 20 }));
  const [filled, deleted] = record.rows;
  expect(filled?.plainBytes.median).toBeGreaterThan(20 << 20);
  expect(deleted?.plainBytes.median).toBeGreaterThan(0);
  const zio = record.cells[0]!.samples.find(({ contender }) => contender === "zio")!.values;
  expect(zio.counters?.elidedBytes).toBeGreaterThan(1 << 20);
  expect(zio.deletedBytes).toBeGreaterThan(0);
  expect(zio.deletedBytes).toBeLessThan(zio.filledBytes);
});

for (const language of ["python", "node"] as const)
  test(`a ${language} server forwards every byte`, async (context) => {
    const record = await orMissing(context, run(language, { ...few, messages: 20, warmup: 5 }));
    const [row] = record.rows;
    expect(Object.keys(row?.cpuNs ?? {})).toEqual(
      language === "python" ? ["plain", "zio", "keeping memory"] : ["plain", "zio"],
    );
    expect(zioSample(record.cells[0]!)).toMatchObject({ operations: 20, preparedOperations: 5 });
    expect(record.cells[0]!.verified).toContain("zio");
    if (language === "python") expect(row?.elidedBytes.median).toBeGreaterThan(512 << 10);
  });

test("a file is served in every way that the kernel has", async (context) => {
  const record = await orMissing(context, run("apis", { ...few, threads: [1, 2], operations: 20 }));
  const contenders = record.contenders.map(({ name }) => name);
  expect(contenders.slice(0, 2)).toEqual(["plain", "zio"]);
  expect(contenders.length + (record.skipped?.length ?? 0)).toBe(7);
  for (const cell of record.cells) {
    expect(cell.verified).toEqual(contenders);
    expect(zioSample(cell).counters?.redirectedBytes).toBeGreaterThan(0);
    expect(cell.samples.every(({ values }) => values.operations === 20)).toBe(true);
  }
});

// The first run compiles, which takes a while.
test("a gRPC server echoes every byte, and is compared with itself without copies", async (context) => {
  const record = await orMissing(context, run("grpc", { ...few, messages: 20 }));
  expect(record.contenders.map(({ name }) => name)).toEqual(["plain", "zio", "no copies"]);
  expect(zioSample(record.cells[0]!)).toMatchObject({ operations: 20, preparedOperations: 4 });
  expect(zioSample(record.cells[0]!).counters?.elidedBytes).toBeGreaterThan(20 * (256 << 10));
  expect(record.cells[0]!.verified).toContain("zio");
  expect(record.targets).toHaveLength(1);
}, 400_000);
