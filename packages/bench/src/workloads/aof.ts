// `aof`: Redis with an append-only file that is synced at each write, plain and with the file in a pool, on the same medium:
// memory (tmpfs) and disk. Throughput is judged; the digest is a thread of the server, so its CPU time is in the server's. Nobody
// is pinned, or the digest would have to share the server's core. Samples write several times what the pool holds, but for the
// one that says what comes before it is full for the first time.
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { capabilities } from "@zio/nvm";
import { type Command, Option } from "commander";
import { checkAof, makeAofPlace } from "../aof-place.js";
import { BenchError } from "../bench-error.js";
import { type CommonOptions, commonDefaults, configureCommon } from "../common-options.js";
import {
  type ComparisonRow,
  comparisonReport,
  comparisonRow,
  type OwnColumn,
  runComparison,
  type SampleManner,
} from "../comparison.js";
import { boundContenders, type Contender, usualContenders } from "../contender.js";
import { scaledAll } from "../figure.js";
import { loadSample, type Observation } from "../load.js";
import type { CpuPair } from "../machine.js";
import { sizesOption, wholeOption, wordsOption } from "../option-parsers.js";
import { requireProgram } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, type Target, target } from "../record.js";
import { type Estimate, estimateMedian } from "../statistics.js";
import { fixed, kibibytes, withInterval } from "../table.js";
import { byPair, type Workload } from "../workload.js";
import { redisCommand } from "./redis.js";

const phases: readonly AofPhase[] = ["memory", "disk-first", "disk"];
/** On what, and for the disk whether the pool was full before. */
export type AofPhase = "memory" | "disk-first" | "disk";

export interface AofOptions extends CommonOptions {
  valueBytes: number[];
  phases: AofPhase[];
  /** Of one sample; so many that the pool is written several times over, unless told. */
  operations?: number | undefined;
  /** Also writes that are free, and writes of which a thread copies each byte once. */
  withBounds?: boolean;
}

export interface AofSettings {
  phase: AofPhase;
  valueBytes: number;
  operations: number;
}

export interface AofRow extends ComparisonRow {
  settings: AofSettings;
  /** zIO / plain operations a second. */
  throughput: Estimate;
  /** The same of what no log can beat, by name, where it was measured. */
  bounds: Record<string, Estimate>;
}
export type AofRecord = BenchRecord<AofSettings, Observation, AofRow>;

const mebibyte = 2 ** 20;
/** Of one sample; small values are fewer bytes, or a sample would take minutes. */
const operationsFor: Record<AofPhase, { bytes: number; most: number }> = {
  memory: { bytes: 768 * mebibyte, most: 60_000 },
  "disk-first": { bytes: 320 * mebibyte, most: 2000 },
  disk: { bytes: 384 * mebibyte, most: 4000 },
};
const keys = 64;

const phaseNames: Record<AofPhase, string> = {
  memory: "in memory",
  "disk-first": "on disk until the pool is full",
  disk: "on disk",
};

const defaults: AofOptions = {
  ...commonDefaults,
  valueBytes: [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 512 << 10],
  phases: [...phases],
};

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--value-bytes <list>", "sizes of values")
        .argParser(sizesOption)
        .default(defaults.valueBytes, "64,1K,4K,16K,64K,512K"),
    )
    .addOption(
      new Option("--phases <list>", "memory (pool and file on tmpfs), disk, disk-first (until the pool is full)")
        .argParser(wordsOption(phases))
        .default(defaults.phases, phases.join(",")),
    )
    .option("--operations <n>", "operations of one sample", wholeOption)
    .option("--with-bounds", "what no log can beat: writes that are free, and copied once by another thread");
  return configureCommon(command, defaults);
}

const usualOperations = (phase: AofPhase, valueBytes: number) =>
  Math.min(operationsFor[phase].most, Math.round(operationsFor[phase].bytes / valueBytes));

/** Beside the data: what a record and Redis's protocol take. */
const overheadBytes = 192;

/** A third of what a sample writes, or so much that all of it fits. */
function poolBytes({ phase, operations, valueBytes }: AofSettings): number {
  const written = operations * (valueBytes + overheadBytes);
  return phase === "disk-first" ? written * 3 : written / 3;
}

function loggedBytes({ counters }: Observation): number {
  return counters?.loggedBytes ?? 0;
}

async function sample(
  contender: Contender,
  settings: AofSettings,
  { verify, seed }: SampleManner,
  cpus: CpuPair | undefined,
  server: string,
): Promise<Observation> {
  const place = await makeAofPlace(contender, settings.phase === "memory" ? "memory" : "disk", poolBytes(settings));
  const count = verify === "all" ? 200 : settings.operations;
  try {
    const observed = await loadSample(contender, {
      server: (port) => [
        ...[...redisCommand(server, port), "--dir", place.directory],
        ...["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", 0],
      ],
      environment: place.variables,
      saves: true,
      load: [
        ...["--protocol", "redis", "--value", settings.valueBytes, "--keys", keys, "--operations", count],
        ...["--warmup", 100, "--writes", verify === "all" ? 50 : 100],
      ],
      verify,
      seed,
      cpus,
      timeoutMs: 300_000,
    });
    if (contender.counts && contender.policy !== "off" && loggedBytes(observed) === 0)
      throw new BenchError("not-active", `${contender.name}: nothing was logged in the pool`);
    if (verify === "all" && !contender.isBound) await checkAof(place, contender);
    return observed;
  } finally {
    rmSync(place.directory, { recursive: true, force: true });
  }
}

/** What is to be reached; in the steady state of a disk nothing is, it is reported. */
function leastThroughput({ phase, valueBytes }: AofSettings): number | undefined {
  if (phase === "disk") return undefined;
  if (phase === "disk-first") return valueBytes >= 512 << 10 ? 1.2 : undefined;
  if (valueBytes >= 512 << 10) return 2.5;
  return valueBytes >= 64 << 10 ? 1.5 : 0.98;
}

function targetsOf(rows: readonly AofRow[]): Target[] {
  return rows.flatMap(({ name, settings, throughput, bounds }) => {
    const least = leastThroughput(settings);
    const limit = bounds.copied && {
      what: "each byte copied once by a thread, all else free",
      measured: bounds.copied,
    };
    return least === undefined
      ? []
      : [target(`operations a second of ${name}, zIO / plain`, "at-least", least, throughput, limit)];
  });
}

async function run(options: AofOptions, progress: Progress, command: string[]): Promise<AofRecord> {
  const server = requireProgram("redis-server", "redis-server");
  const disk = await capabilities(tmpdir());
  const isDisk = disk.available && disk.survivesPowerCut;
  const usable = options.phases.filter((phase) => phase === "memory" || isDisk);
  const reason = disk.available ? `${tmpdir()} is in memory` : disk.reason;
  const settings = usable.flatMap((phase) =>
    options.valueBytes
      .filter((valueBytes) => phase === "memory" || valueBytes >= 16 << 10)
      .map((valueBytes): AofSettings => {
        const operations = options.operations ?? usualOperations(phase, valueBytes);
        return { phase, valueBytes, operations };
      }),
  );
  return runComparison<AofSettings, AofRow>(
    {
      name: "aof",
      options,
      contenders: [...usualContenders(options), ...(options.withBounds ? boundContenders(".aof") : [])],
      cells: settings.map((parameters) => ({
        name: `SET ${kibibytes(parameters.valueBytes)} ${phaseNames[parameters.phase]}`,
        parameters,
      })),
      skipped: usable.length < options.phases.length ? [{ what: "disk", reason }] : [],
      sample: (contender, parameters, manner) => sample(contender, parameters, manner, options.cpus, server),
      row: (cell) => {
        const perSecond = (name: string) => byPair(cell, name).map(({ operations, wallNs }) => operations / wallNs);
        const plain = perSecond("plain");
        const toPlain = (name: string) => estimateMedian(perSecond(name).map((each, pair) => each / plain[pair]!));
        const bounds: Record<string, Estimate> = options.withBounds
          ? { free: toPlain("free"), copied: toPlain("copied") }
          : {};
        return { ...comparisonRow(cell), settings: cell.parameters, throughput: toPlain("zio"), bounds };
      },
      targets: targetsOf,
    },
    progress,
    command,
  );
}

const micro = (ns: number | undefined) => fixed((ns ?? 0) / 1000, 0);

export const aof: Workload<AofOptions> = {
  name: "aof",
  summary: "Redis with an append-only file synced at each write, plain and in a pool, in memory and on disk",
  defaults,
  overview: { valueBytes: [64, 64 << 10, 512 << 10], phases: ["memory"] },
  configure,
  run,
  report: (record) =>
    comparisonReport<AofRow>(record, "Redis, AOF synced at each write", [
      ["op/s, zIO / plain", ({ throughput }) => withInterval(throughput, 1, 2, "")],
      ...Object.keys((record.rows as AofRow[])[0]?.bounds ?? {}).map(
        (name): OwnColumn<AofRow> => [`op/s, ${name} / plain`, ({ bounds }) => withInterval(bounds[name]!, 1, 2, "")],
      ),
      [
        "p50 us, plain / zIO",
        ({ latencyNs }) => `${micro(latencyNs.p50.plain?.median)} / ${micro(latencyNs.p50.zio?.median)}`,
      ],
      [
        "p999 us, plain / zIO",
        ({ latencyNs }) => `${micro(latencyNs.p999.plain?.median)} / ${micro(latencyNs.p999.zio?.median)}`,
      ],
    ]),
  figure: (record) => ({
    title: "Redis, AOF synced at each write",
    score: "operations a second, zIO / plain",
    higherIsBetter: true,
    even: 1,
    values: "operations a second",
    rows: (record.rows as AofRow[]).map(({ name, throughput, perSecond }) => ({
      name,
      score: throughput,
      values: scaledAll(perSecond, 1),
    })),
  }),
};
