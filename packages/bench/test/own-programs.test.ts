// Small real runs of the workloads that need nothing but the project's own programs. Never their speed.
import { expect, test } from "vitest";
import { run } from "../src/index.js";
import { orSkip } from "./support/skips.js";

const few = { pairs: 1, messages: 16, warmup: 4, verifyMessages: 4, policy: "always" } as const;

test("touched data are read or written, and only the touched share becomes memory", async (context) => {
  const record = await orSkip(context, run("touched", { ...few, messageBytes: [512 << 10], touchedPercent: [0, 25] }));
  expect(record.rows.map(({ name }) => name)).toEqual([
    "512 KiB, untouched",
    "512 KiB, 25 % read, sequential",
    "512 KiB, 25 % read, random",
    "512 KiB, 25 % write, sequential",
    "512 KiB, 25 % write, random",
  ]);
  for (const cell of record.cells) {
    expect(cell.verified).toEqual(["plain", "zio"]);
    const { counters, server } = cell.samples.find(({ contender }) => contender === "zio")!.values;
    expect(counters?.elidedBytes).toBeGreaterThan(0.8 * 20 * (512 << 10));
    const share = (counters?.materialisedBytes ?? 0) / ((server.messages + server.warmupMessages) * (512 << 10));
    if (cell.parameters.touchedPercent) expect(share).toBeGreaterThan(0.2);
    else expect(share).toBeLessThan(0.1);
  }
  expect(record.targets).toHaveLength(5);
});

test("threads serve a connection each, and are compared with one", async (context) => {
  // While the first thread sets zIO up, others run plain: on a machine with other work for many messages.
  const options = { ...few, messages: 200, threads: [2], copies: [4], withPaper: true };
  const record = await orSkip(context, run("threads", options));
  expect(record.rows.map(({ threads, copies }) => [threads, copies])).toEqual([
    [1, 4],
    [2, 4],
  ]);
  expect(record.rows[0]?.growth.median).toBe(1);
  for (const { others, elidedBytes, lockSleep } of record.rows) {
    expect(elidedBytes.median).toBeGreaterThan(0.5 * 4 * (512 << 10));
    expect(lockSleep.median).toBeGreaterThanOrEqual(0);
    expect(others.paper?.median).toBeGreaterThan(0);
  }
  // The other thread answers on while the one that ends the warm-up takes the time: those messages are not accounted.
  const [one, two] = record.cells.map(({ samples }) => samples[0]?.values.server.messages);
  expect(one).toBe(200);
  expect(two).toBeGreaterThan(100);
  expect(two).toBeLessThanOrEqual(200);
});

test("startup finds one thread in each process and times processes", async (context) => {
  const record = await orSkip(context, run("startup", { pairs: 1, runs: 21 }));
  expect(record.cells.map(({ samples }) => samples.map(({ values }) => values.runs))).toEqual([
    [21, 21],
    [1, 1],
  ]);
  for (const { plainNs } of record.rows) expect(plainNs.median).toBeGreaterThan(0);
  for (const cell of record.cells)
    expect(cell.samples.find(({ contender }) => contender === "zio")?.values.counters).toEqual({});
});

test("primitives are a table of this machine", async () => {
  const record = await run("primitives", { pairs: 2, rounds: 5 });
  const names = record.rows.map(({ name }) => name);
  for (const name of ["memcpy 16 KiB, hot", "UFFDIO_MOVE, in bulk", "copy of 512 KiB of views"])
    expect(names).toContain(name);
  for (const { name, ns } of record.rows) expect(ns.median, name).toBeGreaterThanOrEqual(0);
});

test("a budget of time ends a run early, with whole pairs", async (context) => {
  const record = await orSkip(context, run("startup", { pairs: 500, runs: 2, budgetSeconds: 1 }));
  const pairs = record.options.pairs as number;
  expect(pairs).toBeLessThan(500);
  for (const { samples } of record.cells) expect(samples).toHaveLength(2 * pairs);
});
