// The arithmetic of the `copies` workload on made-up samples.
import { expect, test } from "vitest";
import { targetLines } from "../src/common-options.js";
import type { EchoSample } from "../src/echo.js";
import type { RecordedCell } from "../src/record.js";
import { copiesRow, copiesTargets, copies as copiesWorkload } from "../src/workloads/copies.js";

type CopiesCell = RecordedCell<{ copies: number }, EchoSample>;

function sample(cpuNsPerMessage: number, elidedBytes?: number): EchoSample {
  const messages = 90;
  return {
    server: { messages, warmupMessages: 10, cpuNs: cpuNsPerMessage * messages } as EchoSample["server"],
    client: { received: 100, cpuNs: 1000, messagesPerSecond: 5000, latencyNs: { p50: 1 } } as EchoSample["client"],
    counters: elidedBytes === undefined ? null : { elidedBytes, faults: 0 },
  };
}

function cellOf(copies: number, pairs: [plainNs: number, zioNs: number][]): CopiesCell {
  const samples = pairs.flatMap(([plainNs, zioNs], pair) => [
    { pair, position: 2 * pair, contender: "plain", startedMs: 0, values: sample(plainNs) },
    { pair, position: 2 * pair + 1, contender: "zio", startedMs: 0, values: sample(zioNs, 400_000) },
  ]);
  return { name: `${copies} copies`, parameters: { copies }, verified: ["plain", "zio"], samples };
}

const zero = cellOf(0, [
  [100, 101],
  [110, 111],
  [90, 92],
]);

test("ratio and recovery are formed within each pair, so drift common to a pair cancels", () => {
  const row = copiesRow(
    cellOf(8, [
      [200, 110],
      [220, 121],
      [180, 99],
    ]),
    zero,
  );
  expect(row.ratio.median).toBeCloseTo(200 / 110);
  expect(row.ratio.high).toBeCloseTo(200 / 110);
  expect(row.recovered?.median).toBeCloseTo(0.9);
  expect(row.bound.median).toBeCloseTo(2);
  expect(row.serverCpuNs.plain).toEqual({ median: 200, iqr: 20, mad: 20 });
  expect(row.elidedBytes.median).toBe(4000);
});

test("samples are paired by their pair, in whatever order they were taken", () => {
  const cell = cellOf(4, [
    [150, 100],
    [300, 200],
    [75, 50],
  ]);
  const row = copiesRow({ ...cell, samples: [...cell.samples].reverse() }, zero);
  expect(row.ratio).toEqual({ median: 1.5, low: 1.5, high: 1.5 });
});

test("what two buffers in turn leave to be recovered is formed within each pair, and stands beside the target", () => {
  const cell = cellOf(2, [
    [150, 110],
    [160, 120],
    [140, 100],
  ]);
  const turning = cellOf(0, [
    [105, 0],
    [115, 0],
    [95, 0],
  ]);
  const row = copiesRow(cell, zero, turning);
  expect(row.recoverable?.median).toBeCloseTo(0.9);
  expect(row.recovered?.median).toBeCloseTo(0.8);
  const [share] = copiesTargets([row]);
  expect(share).toMatchObject({ met: false, limit: { measured: row.recoverable } });
  expect(targetLines({ targets: [share!], skipped: [] })[0]).toMatch(
    />= 0\.9: 0\.800 .*\(two buffers in turn, .*: 0\.900/,
  );
  expect(copiesRow(zero, zero, turning)).not.toHaveProperty("recoverable");
});

test("at 0 copies nothing can be recovered, and the target is the difference", () => {
  const row = copiesRow(zero, zero);
  expect(row.recovered).toBeNull();
  const [only, ...others] = copiesTargets([row]);
  expect(others).toEqual([]);
  expect(only).toMatchObject({ relation: "at-most", bound: 1.02, met: true });
  expect(only?.measured.median).toBeCloseTo(101 / 100);
});

test("a target that is missed says so", () => {
  const slow = copiesRow(
    cellOf(8, [
      [200, 160],
      [200, 160],
      [200, 160],
    ]),
    zero,
  );
  expect(copiesTargets([slow]).map(({ met }) => met)).toEqual([false, false]);
});

test("the report begins each row with the number of copies and the ratio", () => {
  const rows = [copiesRow(zero, zero)];
  const text = copiesWorkload.report({
    options: { messageBytes: 524288, policy: "learn", pairs: 3 },
    machine: { cpuModel: "A Processor", cores: 2, kernel: "6.1" },
    rows,
    targets: copiesTargets(rows),
  } as never);
  expect(text).toMatch(/^copies +ratio \(95 %\)/m);
  expect(text).toMatch(/^ +0 {2}0\.99 \(/m);
  expect(text).toContain("met      CPU per message at 0 copies");
});
