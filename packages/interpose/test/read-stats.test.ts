import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readStatsDirectory, readStatsPage } from "../src/read-stats.js";

interface HandMade {
  pid?: number;
  version?: number;
  headerBytes?: number;
  counterBytes?: number;
  counters?: [name: string, value: bigint, kind?: number][];
}

/** A page laid out by hand as packages/core/include/zio/stats.h says. */
function handMadePage(made: HandMade = {}): Buffer {
  const { pid = 4711, version = 1, headerBytes = 256, counterBytes = 64, counters = [] } = made;
  const page = Buffer.alloc(headerBytes + counters.length * counterBytes);
  page.writeBigUInt64LE(0x315441545354495an, 0);
  page.writeUInt32LE(version, 8);
  page.writeUInt32LE(headerBytes, 12);
  page.writeUInt32LE(counterBytes, 16);
  page.writeUInt32LE(counters.length, 20);
  page.writeInt32LE(pid, 24);
  page.writeInt32LE(1, 28);
  page.writeBigUInt64LE(123456789n, 32);
  page.write("always", 56);
  page.write("active", 72);
  page.write("redis-server", 136);
  for (const [index, [name, value, kind = 0]] of counters.entries()) {
    const base = headerBytes + index * counterBytes;
    page.write(name, base);
    page.writeUInt8(kind, base + 47);
    page.writeBigUInt64LE(value, base + 48);
  }
  return page;
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-read-stats-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a page is read with its names, values and kinds", () => {
  const page = handMadePage({
    counters: [
      ["elidedBytes", 1n << 40n],
      ["views", 3n, 1],
      ["fallbacks.pinned-page", 2n],
    ],
  });
  expect(readStatsPage(page)).toEqual({
    version: 1,
    pid: 4711,
    parentPid: 1,
    startTicks: 123456789,
    policy: "always",
    state: "active",
    command: "redis-server",
    counters: { elidedBytes: 2 ** 40, views: 3, "fallbacks.pinned-page": 2 },
    kinds: { elidedBytes: "counter", views: "gauge", "fallbacks.pinned-page": "counter" },
  });
});

test("a page with larger headers and counters than today's is read by its own measures", () => {
  const page = handMadePage({
    headerBytes: 512,
    counterBytes: 128,
    counters: [
      ["a", 1n],
      ["b", 2n],
    ],
  });
  expect(readStatsPage(page)?.counters).toEqual({ a: 1, b: 2 });
});

test("a page that is part of a larger buffer is read from its own start", () => {
  const page = handMadePage({ counters: [["a", 7n]] });
  const larger = Buffer.concat([Buffer.alloc(24, 0xff), page]);
  expect(readStatsPage(larger.subarray(24))?.counters).toEqual({ a: 7 });
});

test("a command that fills its field to the end needs no terminating zero", () => {
  const page = handMadePage();
  page.write("x".repeat(104), 136);
  expect(readStatsPage(page)?.command).toBe("x".repeat(104));
});

test("of a page cut short the complete counters are returned", () => {
  const page = handMadePage({
    counters: [
      ["a", 1n],
      ["b", 2n],
      ["c", 3n],
    ],
  });
  expect(readStatsPage(page.subarray(0, 256 + 64 + 63))?.counters).toEqual({ a: 1 });
  expect(readStatsPage(page.subarray(0, 240))?.counters).toEqual({});
});

test.each([
  ["an empty file", Buffer.alloc(0)],
  ["a page still without its magic number", Buffer.alloc(4096)],
  ["another program's file", Buffer.from("not a page of counters\n".repeat(50))],
  ["a header cut short", handMadePage().subarray(0, 239)],
  ["a page of a later version", handMadePage({ version: 2 })],
  ["a counter size of zero", handMadePage({ counterBytes: 0 })],
])("%s is no page", (_, bytes) => {
  expect(readStatsPage(bytes)).toBeUndefined();
});

test("a directory is summed over its pages, and what is no page is named", () => {
  writeFileSync(
    join(directory, "20"),
    handMadePage({
      pid: 20,
      counters: [
        ["faults", 2n],
        ["views", 1n, 1],
      ],
    }),
  );
  writeFileSync(
    join(directory, "3"),
    handMadePage({
      pid: 3,
      counters: [
        ["faults", 40n],
        ["events", 5n],
      ],
    }),
  );
  writeFileSync(join(directory, "README"), "hello");
  mkdirSync(join(directory, "subdirectory"));
  const { processes, totals, unreadable } = readStatsDirectory(directory);
  expect(processes.map(({ pid }) => pid)).toEqual([3, 20]);
  expect(totals).toEqual({ faults: 42, views: 1, events: 5 });
  expect(unreadable).toEqual(["README"]);
});

test("an empty directory has no totals and a missing one throws", () => {
  expect(readStatsDirectory(directory)).toEqual({ processes: [], totals: {}, unreadable: [] });
  expect(() => readStatsDirectory(join(directory, "missing"))).toThrow(/ENOENT/);
});
