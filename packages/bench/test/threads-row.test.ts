// The arithmetic of the `threads` workload on made-up samples.
import { expect, test } from "vitest";
import type { EchoSample } from "../src/echo.js";
import type { EchoCell } from "../src/echo-sweep.js";
import { type ThreadsSettings, threadsRows, threadsTargets } from "../src/workloads/threads.js";

function sample(cpuNsPerMessage: number, lockSleepNs?: number): EchoSample {
  const messages = 90;
  return {
    server: { messages, warmupMessages: 10, cpuNs: cpuNsPerMessage * messages, wallNs: 9000 } as EchoSample["server"],
    client: { received: 100, cpuNs: 1000, messagesPerSecond: 5000, latencyNs: { p50: 1 } } as EchoSample["client"],
    counters: lockSleepNs === undefined ? null : { elidedBytes: 0, faults: 0, lockSleepNs },
  };
}

function cellOf(connections: number, copies: number, plainNs: number, zioNs: number): EchoCell<ThreadsSettings> {
  const samples = [0, 1, 2].flatMap((pair) => [
    { pair, position: 2 * pair, contender: "plain", startedMs: 0, values: sample(plainNs * (1 + pair)) },
    { pair, position: 2 * pair + 1, contender: "zio", startedMs: 0, values: sample(zioNs * (1 + pair), 400) },
  ]);
  const parameters = { connections, copies, messageBytes: 1 } as ThreadsSettings;
  return { name: "", parameters, verified: [], samples };
}

const none = [cellOf(1, 0, 100, 100), cellOf(8, 0, 170, 170)];
const four = [cellOf(1, 4, 200, 110), cellOf(8, 4, 280, 176)];

test("growth is compared with plain's, and beside it stands what it would be if copies cost nothing", () => {
  const [, eightOfNone, , eight] = threadsRows([...none, ...four], 2);
  expect(eightOfNone?.growth.median).toBeCloseTo(1);
  expect(eightOfNone).not.toHaveProperty("growthWithoutCopies");
  expect(eight?.growth.median).toBeCloseTo(176 / 110 / (280 / 200));
  expect(eight?.growthWithoutCopies?.median).toBeCloseTo(170 / 100 / (280 / 200));
  const [growth] = threadsTargets([eight!]);
  expect(growth).toMatchObject({ met: false, bound: 1.03, limit: { measured: eight?.growthWithoutCopies } });
});

test("where 0 copies are not measured nothing is said of them", () => {
  const [, eight] = threadsRows(four, 2);
  expect(eight).not.toHaveProperty("growthWithoutCopies");
  expect(threadsTargets([eight!])[0]).not.toHaveProperty("limit");
});

test("sleep is a share of the time of all threads, warm-up included as in the counter", () => {
  const [one, eight] = threadsRows(four, 2);
  expect(one?.lockSleep.median).toBeCloseTo(400 / 10_000);
  expect(eight?.lockSleep.median).toBeCloseTo(400 / 80_000);
});
