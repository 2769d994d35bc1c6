// What becomes of records: plots, pages, comparisons.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { compareRecords, htmlPage, plotSvg, readRecords } from "../src/index.js";
import { benchmarksPage } from "../src/pages/benchmarks-page.js";
import { paperPage } from "../src/pages/paper-page.js";
import { paperExperiments } from "../src/paper-experiments.js";
import { workloadNamed, workloads } from "../src/run.js";
import { around, faultsRecord } from "./support/made-up.js";

const good = faultsRecord(around(1.5));
const bad = faultsRecord(around(0.8), "2026-01-02T00:00:00.000Z");

test("a plot has the rows, the contenders and the score", async () => {
  const svg = await plotSvg(workloadNamed("faults").figure(good));
  expect(svg).toMatch(/^<svg/);
  for (const text of ["4 pages", "plain", "zio", "plain / zIO, more is better"]) expect(svg).toContain(text);
});

test("a page needs no other file and no network", async () => {
  const html = await htmlPage([good, bad]);
  expect(html.match(/<svg/g)).toHaveLength(2);
  expect(html).not.toMatch(/<script|<link|<img|src=|url\(|@import/);
  expect(html).toContain("A | Processor");
});

test("a row is worse only where the intervals do not overlap", () => {
  const verdict = (before: number, after: number) =>
    compareRecords([faultsRecord(around(before))], [faultsRecord(around(after))]).rows.map((row) => row.verdict);
  expect(verdict(1.5, 1.45)).toEqual(["same"]);
  expect(verdict(1.5, 1.2)).toEqual(["worse"]);
  expect(verdict(1.2, 1.5)).toEqual(["better"]);
  const compared = compareRecords([good], [bad]);
  expect(compared.lostTargets).toEqual(["CPU per message with 4 pages touched, zIO / plain"]);
  expect(compareRecords([good], []).unmatched).toEqual(["faults: 4 pages"]);
});

test("records are read alone and in sets, and nothing else is", () => {
  const directory = mkdtempSync(join(tmpdir(), "zio-bench-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "file.json");
  writeFileSync(file, JSON.stringify(good));
  expect(readRecords(file)).toEqual([good]);
  writeFileSync(file, JSON.stringify({ version: 1, command: [], records: [good, bad], skipped: [] }));
  expect(readRecords(file)).toEqual([good, bad]);
  for (const text of ["{", "[]", '{"version":2,"rows":[]}', '{"version":1,"records":[7]}']) {
    writeFileSync(file, text);
    expect(() => readRecords(file), text).toThrow(/file\.json/);
  }
});

test("the benchmarks page has the latest record of each workload, and what zIO loses", () => {
  const page = benchmarksPage([bad, good]);
  for (const { name } of workloads) expect(page).toContain(`## ${name}\n`);
  expect(page).toContain("| 4 pages | 0.80 (0.75-0.85) | 0.50 (0.40-0.60) | 100 | 125 |");
  expect(page).toContain("**not met**: CPU per message with 4 pages touched");
  expect(page).toContain("1 of 1 targets missed. Costs more than it saves: 4 pages (plain / zIO 0.80).");
  expect(page).toContain("`zio bench faults --json FILE`");
  expect(page).not.toContain("/somewhere");
});

test("the paper's page has every experiment, and our number where there is a record", () => {
  const page = paperPage([{ ...good, experiment: "faults" }]);
  for (const { what } of paperExperiments) expect(page).toContain(what);
  expect(page).toContain("1.50 (1.45-1.55) at 4 pages; its own rule here 0.50");
  expect(page).toContain("`zio bench sizes --message-bytes 8192,16384,32768,65536,131072,262144 --with-paper`");
});

test("the generated pages are those of the records", () => {
  const docs = fileURLToPath(new URL("../../../docs", import.meta.url));
  const directory = join(docs, "records");
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".json")) : [];
  const records = files.sort().flatMap((name) => readRecords(join(directory, name)));
  expect(readFileSync(join(docs, "benchmarks.md"), "utf8")).toBe(benchmarksPage(records));
  expect(readFileSync(join(docs, "paper.md"), "utf8")).toBe(paperPage(records));
});
