// `memory`: Redis filled with values of 4 KiB to 1 MiB, of which a random half is deleted. Data that are kept for long must
// not cost more memory than they do plain.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { BenchError } from "../bench-error.js";
import { type CommonOptions, commonDefaults, configureCommon, describeRun, targetLines } from "../common-options.js";
import { type Contender, usualContenders } from "../contender.js";
import { scaledAll } from "../figure.js";
import { chooseCpus } from "../machine.js";
import { sizeOption } from "../option-parsers.js";
import { freePort, pinned, requireProgram, residentBytes, sampleRun, waitForPort } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, portableEnvironment, type RecordedCell, recordHead, target } from "../record.js";
import { RedisConnection } from "../redis-connection.js";
import { type Estimate, estimateMedian, type Spread, seededRandom, spread } from "../statistics.js";
import { renderTable } from "../table.js";
import { byPair, measureInterleaved, pairsTaken, type Workload } from "../workload.js";
import { redisCommand } from "./redis.js";

const valueBounds = { least: 4 << 10, most: 1 << 20 };
const allowedFactor = 1.1;
const allowedBytes = 64 << 20;

export interface MemoryOptions extends CommonOptions {
  totalBytes: number;
}

export interface MemorySample {
  values: number;
  filledBytes: number;
  deletedBytes: number;
  /** Resident sets of the server: when it was filled, and after the deletions. */
  residentFilled: number;
  residentDeleted: number;
  counters: Record<string, number> | null;
}

export interface MemoryRow {
  name: string;
  /** zIO / plain. */
  ratio: Estimate;
  /** zIO - (1.1 plain + 64 MiB). */
  excessBytes: Estimate;
  plainBytes: Spread;
  zioBytes: Spread;
}

export type MemoryRecord = BenchRecord<{ totalBytes: number }, MemorySample, MemoryRow>;

/** A resident set hardly varies, and filling takes long: few pairs. */
const defaults: MemoryOptions = { ...commonDefaults, pairs: 3, totalBytes: 1 << 30 };

function configure(command: Command): Command {
  command.addOption(
    new Option("--total-bytes <size>", "of all values").argParser(sizeOption).default(defaults.totalBytes, "1G"),
  );
  return configureCommon(command, defaults);
}

interface StoredValue {
  key: string;
  bytes: number;
}

/** Sizes are spread evenly over the powers of two. */
function plannedValues(totalBytes: number, random: () => number): StoredValue[] {
  const values: StoredValue[] = [];
  const range = Math.log2(valueBounds.most / valueBounds.least);
  for (let sum = 0; sum < totalBytes; sum += values.at(-1)!.bytes)
    values.push({ key: `value:${values.length}`, bytes: Math.round(valueBounds.least * 2 ** (random() * range)) });
  return values;
}

/** What each value holds: a part of the same pool, from a place of its own. */
function contents(random: () => number): (value: StoredValue) => Buffer {
  const pool = Buffer.alloc(2 * valueBounds.most);
  for (let at = 0; at < pool.length; at += 4) pool.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
  return ({ key, bytes }) => {
    const from = (Number(key.slice("value:".length)) * 7919) % valueBounds.most;
    return pool.subarray(from, from + bytes);
  };
}

async function fillAndDelete(port: number, pid: number, totalBytes: number, seed: number, checkEvery: number) {
  const random = seededRandom(seed);
  const contentOf = contents(random);
  const values = plannedValues(totalBytes, random);
  const connection = await RedisConnection.open(port);
  try {
    for (const value of values) await connection.set(value.key, contentOf(value));
    const residentFilled = residentBytes(pid);
    const isDeleted = new Set(values.filter(() => random() < 0.5).map(({ key }) => key));
    for (const key of isDeleted) await connection.delete(key);
    const residentDeleted = residentBytes(pid);
    const kept = values.filter(({ key }) => !isDeleted.has(key));
    for (const [index, value] of kept.entries())
      if (index % checkEvery === 0 && !contentOf(value).equals(await connection.get(value.key)))
        throw new BenchError("wrong-data", `Redis lost the content of ${value.key}`);
    const sum = (list: readonly StoredValue[]) => list.reduce((bytes, value) => bytes + value.bytes, 0);
    const filledBytes = sum(values);
    return {
      values: values.length,
      filledBytes,
      deletedBytes: filledBytes - sum(kept),
      residentFilled,
      residentDeleted,
    };
  } finally {
    connection.close();
  }
}

async function memorySample(contender: Contender, totalBytes: number, seed: number, checkEvery: number, cpu?: number) {
  const server = requireProgram("redis-server", "redis-server");
  const directory = mkdtempSync(join(tmpdir(), "zio-bench-memory-"));
  try {
    return await sampleRun(contender, 300_000, async (run): Promise<MemorySample> => {
      const port = await freePort();
      const program = run.startServer(...pinned(cpu, [...redisCommand(server, port), "--dir", directory]));
      await waitForPort(program, port);
      const filled = await fillAndDelete(port, program.pid, totalBytes, seed, checkEvery);
      return { ...filled, counters: run.counters() };
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function rowOf(
  cell: RecordedCell<unknown, MemorySample>,
  name: string,
  of: (sample: MemorySample) => number,
): MemoryRow {
  const [plainBytes, zioBytes] = ["plain", "zio"].map((contender) => byPair(cell, contender).map(of));
  return {
    name,
    ratio: estimateMedian(zioBytes!.map((bytes, pair) => bytes / plainBytes![pair]!)),
    excessBytes: estimateMedian(
      zioBytes!.map((bytes, pair) => bytes - (allowedFactor * plainBytes![pair]! + allowedBytes)),
    ),
    plainBytes: spread(plainBytes!),
    zioBytes: spread(zioBytes!),
  };
}

const mebibytes = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10;

async function run(options: MemoryOptions, progress: Progress, command: string[]): Promise<MemoryRecord> {
  requireProgram("redis-server", "redis-server");
  const cpus = options.cpus ?? chooseCpus();
  const head = recordHead("memory", command, cpus);
  const started = performance.now();
  const contenders = usualContenders(options);
  const { totalBytes } = options;
  const cells = await measureInterleaved<{ totalBytes: number }, MemorySample>({
    cells: [{ name: `${mebibytes(totalBytes)} MiB of values`, parameters: { totalBytes } }],
    contenders,
    pairs: options.pairs,
    budgetSeconds: options.budgetSeconds,
    verify: async (contender) => {
      await memorySample(contender, Math.min(totalBytes, 32 << 20), 1, 1);
    },
    sample: (contender, _, pair) => memorySample(contender, totalBytes, pair + 1, 16, cpus?.server),
    progress,
  });
  const rows = [
    rowOf(cells[0]!, "filled", ({ residentFilled }) => residentFilled),
    rowOf(cells[0]!, "a random half deleted", ({ residentDeleted }) => residentDeleted),
  ];
  return {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options, pairs: pairsTaken(cells) },
    contenders: contenders.map(({ name, environment }) => ({ name, environment: portableEnvironment(environment) })),
    cells,
    rows,
    targets: rows.map(({ name, excessBytes: { median, low, high } }) =>
      target(`MiB resident beyond 1.1 x plain + 64 MiB, ${name}`, "at-most", 0, {
        median: mebibytes(median),
        low: mebibytes(low),
        high: mebibytes(high),
      }),
    ),
  };
}

function report(record: BenchRecord): string {
  const rows = (record.rows as MemoryRow[]).map(({ name, ratio, plainBytes, zioBytes }) => [
    name,
    ratio.median.toFixed(2),
    String(mebibytes(plainBytes.median)),
    String(mebibytes(zioBytes.median)),
  ]);
  const title = `Redis filled with ${mebibytes(Number(record.options.totalBytes))} MiB, policy ${record.options.policy}: resident memory,`;
  const table = renderTable(["when", "zIO / plain", "plain MiB", "zIO MiB"], rows);
  return [title, describeRun(record), "", table, "", ...targetLines(record)].join("\n");
}

export const memory: Workload<MemoryOptions> = {
  name: "memory",
  summary: "what memory Redis takes when it is filled with values and loses half of them",
  defaults,
  overview: { pairs: 1, totalBytes: 256 << 20 },
  configure,
  run,
  report,
  figure: (record) => ({
    title: "Redis filled with values",
    score: "resident memory, zIO / plain",
    higherIsBetter: false,
    even: 1,
    values: "MiB",
    rows: (record.rows as MemoryRow[]).map(({ name, ratio, plainBytes, zioBytes }) => ({
      name,
      score: ratio,
      values: scaledAll({ plain: plainBytes, zio: zioBytes }, 2 ** -20),
    })),
  }),
};
