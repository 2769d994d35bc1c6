// `redis`: SET, GET and YCSB's workload A (half reads, half writes, Zipfian with 0.99), in memory and with an append-only
// file on disk. One client, one request under way, as latency is judged too.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { type CommonOptions, commonDefaults, configureCommon } from "../common-options.js";
import {
  type ComparisonRow,
  comparisonReport,
  comparisonRow,
  type OwnColumn,
  runComparison,
  type SampleManner,
} from "../comparison.js";
import { type Contender, usualContenders } from "../contender.js";
import { cpuFigure } from "../figure.js";
import { loadSample, type Observation } from "../load.js";
import { sizesOption, wholeOption, wordsOption } from "../option-parsers.js";
import { requireProgram } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, type Target, target } from "../record.js";
import { inverse } from "../statistics.js";
import { fixed, kibibytes } from "../table.js";
import type { Workload } from "../workload.js";

export const redisMixes = ["SET", "GET", "A"] as const;
export type RedisMix = (typeof redisMixes)[number];
export const redisStores = ["memory", "aof", "aof-always"] as const;
export type RedisStore = (typeof redisStores)[number];

/** About as much data in each sample, within these numbers of operations: fewer have no 99.9th percentile. */
const sampleBytes = 128 * 2 ** 20;
const operationBounds = { least: 1000, most: 10_000 };
/** What is kept on disk is less. */
const leastOnDisk = 300;
const keys = 64;

export interface RedisOptions extends CommonOptions {
  valueBytes: number[];
  mixes: RedisMix[];
  stores: RedisStore[];
  /** Of one sample; as many as carry 128 MiB unless told. */
  operations?: number | undefined;
}

export interface RedisSettings {
  mix: RedisMix;
  store: RedisStore;
  valueBytes: number;
}

export interface RedisRow extends ComparisonRow {
  settings: RedisSettings;
}
export type RedisRecord = BenchRecord<RedisSettings, Observation, RedisRow>;

const storeNames: Record<RedisStore, string> = { memory: "", aof: ", AOF", "aof-always": ", AOF synced at each write" };

const defaults: RedisOptions = {
  ...commonDefaults,
  valueBytes: [4, 16, 64, 512].map((kibibyte) => kibibyte << 10),
  mixes: [...redisMixes],
  stores: ["memory", "aof"],
};

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--value-bytes <list>", "sizes of values")
        .argParser(sizesOption)
        .default(defaults.valueBytes, "4K,16K,64K,512K"),
    )
    .addOption(
      new Option("--mixes <list>", "SET, GET, A (YCSB's workload A)")
        .argParser(wordsOption(redisMixes))
        .default(defaults.mixes, "SET,GET,A"),
    )
    .addOption(
      new Option("--stores <list>", "memory, aof (append-only file, synced every second), aof-always (at each write)")
        .argParser(wordsOption(redisStores))
        .default(defaults.stores, "memory,aof"),
    )
    .option("--operations <n>", "operations of one sample", wholeOption);
  return configureCommon(command, defaults);
}

/** What a Redis server that keeps nothing of its own accord is started with. */
export function redisCommand(server: string, port: number): unknown[] {
  return [server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--logfile", "/dev/null"];
}

function loadOptions(
  { mix, store, valueBytes }: RedisSettings,
  operations: number | undefined,
  warmup: number,
): unknown[] {
  const usual = Math.round(sampleBytes / valueBytes);
  const least = store === "memory" ? operationBounds.least : leastOnDisk;
  const count = operations ?? Math.max(least, Math.min(operationBounds.most, usual));
  return [
    ...["--protocol", "redis", "--value", valueBytes, "--keys", keys, "--operations", count, "--warmup", warmup],
    ...["--writes", { SET: 100, GET: 0, A: 50 }[mix]],
    ...["--distribution", mix === "A" ? "zipfian" : "uniform"],
  ];
}

async function sample(
  contender: Contender,
  settings: RedisSettings,
  manner: SampleManner,
  operations: number | undefined,
  server: string,
): Promise<Observation> {
  const directory = mkdtempSync(join(tmpdir(), "zio-bench-redis-"));
  const sync = settings.store === "aof-always" ? "always" : "everysec";
  const aof = ["--appendonly", "yes", "--appendfsync", sync, "--auto-aof-rewrite-percentage", 0];
  const count = manner.verify === "all" ? Math.min(200, operations ?? 200) : operations;
  try {
    return await loadSample(contender, {
      server: (port) => [
        ...redisCommand(server, port),
        "--dir",
        directory,
        ...(settings.store === "memory" ? [] : aof),
      ],
      load: loadOptions(settings, count, Math.min(100, count ?? 100)),
      ...manner,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function targetsOf(rows: readonly RedisRow[]): Target[] {
  return rows.flatMap(({ name, ratio, p99 }) => [
    target(`CPU per operation of ${name}, zIO / plain`, "at-most", 1.02, inverse(ratio)),
    target(`99th percentile of ${name}, zIO / plain`, "at-most", 1.05, p99),
  ]);
}

async function run(options: RedisOptions, progress: Progress, command: string[]): Promise<RedisRecord> {
  const server = requireProgram("redis-server", "redis-server");
  const settings = options.stores.flatMap((store) =>
    options.mixes
      // A file that is only appended to is not read.
      .filter((mix) => store === "memory" || mix !== "GET")
      .flatMap((mix) => options.valueBytes.map((valueBytes): RedisSettings => ({ mix, store, valueBytes }))),
  );
  return runComparison<RedisSettings, RedisRow>(
    {
      name: "redis",
      options,
      contenders: usualContenders(options),
      cells: settings.map((parameters) => ({
        name: `${parameters.mix} ${kibibytes(parameters.valueBytes)}${storeNames[parameters.store]}`,
        parameters,
      })),
      sample: (contender, parameters, manner) => sample(contender, parameters, manner, options.operations, server),
      row: (cell) => ({ ...comparisonRow(cell), settings: cell.parameters }),
      targets: targetsOf,
    },
    progress,
    command,
  );
}

/** Median of the pairs of a percentile, plain and zIO. */
function latencyColumn(percentile: "p50" | "p99" | "p999"): OwnColumn<RedisRow> {
  const micro = (row: RedisRow, name: string) => fixed((row.latencyNs[percentile][name]?.median ?? 0) / 1000, 0);
  return [`${percentile} us, plain / zIO`, (row) => `${micro(row, "plain")} / ${micro(row, "zio")}`];
}

export const redis: Workload<RedisOptions> = {
  name: "redis",
  summary: "Redis: SET, GET and YCSB's workload A, in memory and with an append-only file",
  defaults,
  overview: { valueBytes: [4 << 10, 64 << 10, 512 << 10], mixes: ["SET", "GET"], stores: ["memory"] },
  configure,
  run,
  report: (record) => comparisonReport<RedisRow>(record, "Redis", (["p50", "p99", "p999"] as const).map(latencyColumn)),
  figure: (record) =>
    cpuFigure(
      "Redis",
      record.rows as RedisRow[],
      ({ name }) => name,
      ({ cpuNs }) => cpuNs,
    ),
};
