import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { costsOf } from "../src/calibrate.js";
import {
  type Cost,
  calibrate,
  configVariable,
  costsOfThisMachine,
  costsPath,
  defaultCosts,
  keepCosts,
  keptCosts,
  problemWithValue,
  settingVariables,
} from "../src/index.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-costs-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const words = Object.keys(defaultCosts) as Cost[];
const times = (list: Record<string, number>) => (name: string) => list[name] ?? Number.NaN;
const plainTimes = {
  "read-small": 10_000,
  "copy-small": 4_000,
  "write-small": 7_000,
  "touch-one-large": 40,
  "touch-all-large": 300,
  "read-again-small": 9_000,
  "read-large": 100_000,
  "copy-large": 30_000,
  "write-large": 70_000,
  "copying-small": 3_800,
  "copying-large": 48_000,
};
const zioTimes = {
  "read-small": 13_000,
  "copy-small": 1_000,
  "write-small": 8_000,
  "touch-one-large": 11_040,
  "touch-all-large": 268_300,
  "read-again-small": 9_400,
  "read-large": 105_000,
  "copy-large": 1_400,
  "write-large": 69_000,
};

test("costs are what zIO adds to a program's steps, and what a copy took, by itself or of the steps around it", () => {
  expect(costsOf(times(plainTimes), times(zioTimes))).toEqual({
    copy: 4000,
    "copy-large": 6000,
    elide: 1200,
    input: 4000,
    overwrite: 400,
    fault: 9500,
    page: 1500,
  });
});

test("what a busy machine measures is bounded", () => {
  const slow = { ...Object.fromEntries(Object.keys(zioTimes).map((name) => [name, 1e9])), "touch-all-large": 1e10 };
  const costs = costsOf(times(plainTimes), times(slow));
  for (const cost of ["elide", "input", "overwrite", "fault", "page"] as const)
    expect(costs[cost]).toBe(2 * defaultCosts[cost]);
  const quick = costsOf(times(plainTimes), times(plainTimes));
  for (const cost of ["input", "overwrite", "fault", "page"] as const) expect(quick[cost]).toBe(defaultCosts[cost] / 2);
});

test("costs are kept for this machine and no other", () => {
  const path = join(directory, "deep/costs.json");
  expect(keptCosts(path)).toBeUndefined();
  const costs = { ...defaultCosts, fault: 7777 };
  keepCosts(costs, path);
  expect(keptCosts(path)).toEqual(costs);
  expect(costsOfThisMachine(path)).toEqual(costs);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/"machine": "/, '"machine": "another '));
  expect(keptCosts(path)).toBeUndefined();
  writeFileSync(path, text.replace(/"version": \d+/, '"version": 1')); // measured a fault with what it drew along
  expect(keptCosts(path)).toBeUndefined();
  writeFileSync(path, text.slice(0, -20));
  expect(keptCosts(path)).toBeUndefined();
  writeFileSync(path, text.replace("7777", '"much"'));
  expect(keptCosts(path)).toBeUndefined();
});

test("a cache that cannot be written leaves the defaults to the library", () => {
  const file = join(directory, "file");
  writeFileSync(file, "");
  expect(costsOfThisMachine(join(file, "costs.json"))).toBeUndefined();
  expect(readFileSync(file, "utf8")).toBe("");
});

test("the cache lies where the user wants it", () => {
  expect(costsPath({ XDG_CACHE_HOME: "/cache", HOME: "/home" })).toBe("/cache/zio/costs.json");
  expect(costsPath({ XDG_CACHE_HOME: "relative", HOME: "/home" })).toBe("/home/.cache/zio/costs.json");
});

test("a measurement gives every cost, and the library takes them", () => {
  const costs = calibrate();
  expect(Object.keys(costs)).toEqual(words);
  for (const cost of words) {
    expect(costs[cost]).toBeGreaterThanOrEqual(Math.floor(defaultCosts[cost] / 2));
    expect(costs[cost]).toBeLessThanOrEqual(defaultCosts[cost] * 2);
  }
  const { ZIO_COSTS: text = "" } = settingVariables({ costs });
  expect(text.split(",")).toHaveLength(words.length);
  expect(problemWithValue(configVariable("ZIO_COSTS"), text)).toBeUndefined();
});

test.each(["elide", "elide=", "elide=x", "elide=10000001", "slide=1", "elide=1,", ",elide=1", "elide=-1", "elide=1 "])(
  'the text "%s" is no list of costs',
  (text) => {
    expect(problemWithValue(configVariable("ZIO_COSTS"), text)).toMatch(/^takes word=number, separated by commas/);
  },
);
