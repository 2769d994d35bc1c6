// Random programs of memory and IO operations, run plain and preloaded (src/fuzz, native/fuzz), and the `zio-fuzz`
// command. ZIO_FUZZ_SEED chooses the first program, ZIO_FUZZ_PROGRAM_OPERATIONS how much is run.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { providerPath } from "@zio/nvm";
import { compileC, runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";
import { type CampaignOptions, runCampaign } from "../src/fuzz/campaign.js";
import { generateProgram } from "../src/fuzz/generate.js";
import { formatProgram, type Program, parseProgram } from "../src/fuzz/program.js";
import { shrinkProgram } from "../src/fuzz/shrink.js";
import { preloadableLibrary, userfaultfdRefusal } from "./support/both-ways.js";

const program = fileURLToPath(new URL("../build/Release/zio-fuzz-program", import.meta.url));
const command = fileURLToPath(new URL("../bin/zio-fuzz", import.meta.url));
const operations = Number(process.env.ZIO_FUZZ_PROGRAM_OPERATIONS ?? 100_000);

function scratchDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), "zio-fuzz-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function campaign(options: Partial<CampaignOptions>): Promise<CampaignOptions> {
  return {
    program,
    library: await preloadableLibrary(),
    firstSeed: Number(process.env.ZIO_FUZZ_SEED ?? 1),
    seconds: Number.POSITIVE_INFINITY,
    operations,
    operationsPerProgram: 400,
    modes: ["always", "learn", "no-move", "small-threshold", "little-memory"],
    jobs: 2,
    timeoutMs: 60_000,
    shrinkSeconds: 30,
    output: scratchDirectory(),
    ...options,
  };
}

test(`${operations} operations of random programs come out as plain`, { timeout: 900_000 }, async (context) => {
  const refusal = await userfaultfdRefusal();
  if (refusal) context.skip(refusal);
  const summary = await runCampaign(await campaign({}));
  const found = summary.findings.map(({ file, ...finding }) => ({ ...finding, text: readFileSync(file, "utf8") }));
  expect(found).toEqual([]);
  expect(summary.operations).toBeGreaterThanOrEqual(operations);
  expect(summary.preloadedRuns).toBe(2 * summary.programs);
  expect(summary.counters.redirectedBytes).toBeGreaterThan(1000 * operations);
  expect(summary.counters.elidedBytes).toBeGreaterThan(100 * operations);
  expect(summary.counters.faults).toBeGreaterThan(operations / 20);
});

test(`${operations / 4} operations on files that are logged come out as plain`, {
  timeout: 900_000,
}, async (context) => {
  const refusal = await userfaultfdRefusal();
  if (refusal) context.skip(refusal);
  const modes = ["logged", "logged-learn", "logged-small", "logged-checked", "logged-copied"] as const;
  const settings = { operations: operations / 4, provider: providerPath(), modes };
  const summary = await runCampaign(await campaign(settings));
  const found = summary.findings.map(({ file, ...finding }) => ({ ...finding, text: readFileSync(file, "utf8") }));
  expect(found).toEqual([]);
  expect(summary.preloadedRuns).toBe(2 * summary.programs);
  expect(summary.counters.loggedBytes).toBeGreaterThan(500 * operations);
  expect(summary.counters.loggedByReferenceBytes).toBeGreaterThan(10 * operations);
});

test("a library that copies wrongly is found out, by a program of a few operations", { timeout: 200_000 }, async () => {
  const source = fileURLToPath(new URL("fuzz/wrong_copy.c", import.meta.url));
  const flags = ["-O1", "-fno-builtin", "-fno-tree-loop-distribute-patterns", "-shared", "-fPIC"];
  const library = await compileC({ sources: [source], flags });
  const options = await campaign({ library, modes: ["always"], jobs: 1, operations: 1, firstSeed: 1 });
  const summary = await runCampaign(options);
  expect(summary.findings).toHaveLength(1);
  const finding = summary.findings[0]!;
  expect(finding).toMatchObject({ kind: "difference", mode: "always", seed: 1 });
  const smallest = parseProgram(readFileSync(finding.file, "utf8"));
  expect(smallest.length).toBeLessThan(8);
  expect(smallest.length).toBe(finding.operations);
});

test("a seed always makes the same program, another seed another one", () => {
  expect(generateProgram(7, 300)).toEqual(generateProgram(7, 300));
  expect(generateProgram(7, 300)).not.toEqual(generateProgram(8, 300));
  expect(generateProgram(7, 300, true)).toEqual(generateProgram(7, 300, true));
});

test("a program is the same after it was written and read", () => {
  const made = generateProgram(3, 200);
  expect(parseProgram(formatProgram(made, ["a comment"]))).toEqual(made);
});

test("shrinking leaves the operations that matter, with the simplest numbers that still fail", async () => {
  const made: Program = generateProgram(11, 200);
  const wanted: Program = [
    { verb: "recv", args: [3, 8192, 20_000] },
    { verb: "look", args: [5] },
  ];
  const start = [...made.slice(0, 50), wanted[0]!, ...made.slice(50, 120), wanted[1]!, ...made.slice(120)];
  const fails = async (candidate: Program) => {
    const first = candidate.findIndex(({ verb, args }) => verb === "recv" && args[1]! >= 4096 && args.length === 3);
    return first >= 0 && candidate.slice(first).some(({ verb, args }) => verb === "look" && args.length === 1);
  };
  const smallest = await shrinkProgram(start, { fails, deadlineMs: Date.now() + 20_000 });
  expect(smallest).toEqual([
    { verb: "recv", args: [0, 4096, 0] },
    { verb: "look", args: [0] },
  ]);
});

test("zio-fuzz runs for as many operations as told, and says what it did", async (context) => {
  const refusal = await userfaultfdRefusal();
  if (refusal) context.skip(refusal);
  const json = join(scratchDirectory(), "summary.json");
  const args = ["--operations", "1000", "--seed", "5", "--per-program", "300", "--json", json];
  const { status, stdout, stderr } = await runProgram(command, [...args, "--output", scratchDirectory()]);
  expect({ status, stdout: stdout.toString() }).toEqual({ status: 0, stdout: "" });
  expect(stderr).toMatch(/^zio-fuzz: 4 programs, 1,\d{3} operations in \d+ s; 8 preloaded runs: .* 0 differences\n$/);
  expect(JSON.parse(readFileSync(json, "utf8"))).toMatchObject({ version: 1, programs: 4, findings: [] });
});

test("zio-fuzz repeats the program in a file", async (context) => {
  const refusal = await userfaultfdRefusal();
  if (refusal) context.skip(refusal);
  const made = await runProgram(command, ["--print", "--seed", "9", "--per-program", "100"]);
  expect(parseProgram(made.stdout.toString()).length).toBeGreaterThanOrEqual(100);
  const file = join(scratchDirectory(), "program");
  writeFileSync(file, made.stdout);
  const { status, stderr } = await runProgram(command, ["--replay", file, "--modes", "always,no-move"]);
  expect(status).toBe(0);
  expect(stderr).toMatch(/^zio-fuzz: always: the same; .*\nzio-fuzz: no-move: the same; .*\n$/);
});

test("zio-fuzz logs files in a pool", async (context) => {
  const refusal = await userfaultfdRefusal();
  if (refusal) context.skip(refusal);
  const args = ["--nvm", "--operations", "800", "--seed", "20", "--output", scratchDirectory()];
  const { status, stderr } = await runProgram(command, args);
  expect(stderr).toMatch(/ logged, [1-9][\d,]* by reference; 0 differences\n$/);
  expect(status).toBe(0);
});

test("zio-fuzz refuses what it does not know", async () => {
  expect(existsSync(program)).toBe(true);
  const runs = [["--modes", "sometimes"], ["--seconds", "soon"], ["--unknown"], ["file"]];
  for (const args of runs) expect((await runProgram(command, args)).status).toBe(2);
  const help = await runProgram(command, ["--help"]);
  expect(help.stdout.toString()).toContain("--replay <file>");
});
