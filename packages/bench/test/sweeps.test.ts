// The `sizes` and `faults` workloads: their arithmetic on made-up samples, and small real runs. Never their speed.
import { expect, test } from "vitest";
import type { EchoSample } from "../src/echo.js";
import type { EchoCell, EchoSettings } from "../src/echo-sweep.js";
import { run } from "../src/index.js";
import { sizesRows, sizesTargets } from "../src/workloads/sizes.js";
import { orSkip } from "./support/skips.js";

function cellOf(copies: number, messageBytes: number, plainNs: number, zioNs: number): EchoCell<EchoSettings> {
  const sample = (cpuNs: number) =>
    ({
      server: { messages: 10, warmupMessages: 0, cpuNs: cpuNs * 10 },
      client: { received: 10, cpuNs: 1, messagesPerSecond: 1, latencyNs: { p50: 1 } },
      counters: {},
    }) as EchoSample;
  return {
    name: "",
    parameters: { copies, messageBytes, touchedPages: 0 },
    verified: [],
    samples: [plainNs, zioNs].map((ns, position) => ({
      pair: 0,
      position,
      contender: position === 0 ? "plain" : "zio",
      startedMs: 0,
      values: sample(ns),
    })),
  };
}

test("each size is judged by its own run without copies, and small ones by their cost alone", () => {
  const rows = sizesRows([
    cellOf(0, 4096, 10, 10),
    cellOf(5, 4096, 12, 12.12),
    cellOf(0, 1 << 20, 100, 100),
    cellOf(5, 1 << 20, 200, 115),
  ]);
  expect(rows.map(({ messageBytes, recovered }) => [messageBytes, recovered.median])).toEqual([
    [4096, expect.closeTo(-0.06)],
    [1 << 20, expect.closeTo(0.85)],
  ]);
  const [small, large] = sizesTargets(rows);
  expect(small).toMatchObject({ relation: "at-most", bound: 1.02, met: true });
  expect(small?.measured.median).toBeCloseTo(1.01);
  expect(large).toMatchObject({ relation: "at-least", bound: 0.8, met: true });
});

const few = { pairs: 1, messages: 20, warmup: 5, verifyMessages: 5, policy: "always" } as const;

test("a small run of sizes elides five copies of each message", async (context) => {
  const record = await orSkip(context, run("sizes", { ...few, messageBytes: [65_536, 1 << 20] }));
  expect(record.cells.map(({ name }) => name)).toEqual([
    "64 KiB, 0 copies",
    "64 KiB, 5 copies",
    "1024 KiB, 0 copies",
    "1024 KiB, 5 copies",
  ]);
  for (const { messageBytes, elidedBytes } of record.rows)
    expect(elidedBytes.median).toBeGreaterThan(0.8 * 5 * messageBytes);
  expect(record.targets).toHaveLength(2);
});

test("a small run of faults counts a fault for each page that is read", async (context) => {
  const record = await orSkip(context, run("faults", { ...few, touchedPages: [0, 4] }));
  const [none, four] = record.rows;
  expect(none?.faults.median).toBeLessThan(1);
  expect(four?.faults.median).toBeGreaterThan(1);
  expect(record.targets.map(({ what }) => what)).toEqual([
    "CPU per message with 0 pages touched, zIO / plain",
    "CPU per message with 4 pages touched, zIO / plain",
  ]);
});
