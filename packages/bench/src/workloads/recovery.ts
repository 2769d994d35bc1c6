// `recovery`: how long a log takes to be applied to its file after its process was killed, and how fast a digest is beside
// plain sequential writes of the same bytes, in memory and on disk.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { type CommonOptions, commonDefaults, configureCommon, describeRun, targetLines } from "../common-options.js";
import { plain } from "../contender.js";
import { chooseCpus } from "../machine.js";
import { sizeOption, wordsOption } from "../option-parsers.js";
import { sampleRun, serverScript } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, recordHead, type Target, target } from "../record.js";
import { type Estimate, estimateMedian, type Spread, spread } from "../statistics.js";
import { fixed, renderTable, withInterval } from "../table.js";
import { byPair, measureInterleaved, pairsTaken, type Workload } from "../workload.js";

const media: readonly RecoveryMedium[] = ["memory", "disk"];
export type RecoveryMedium = "memory" | "disk";

export interface RecoveryOptions extends CommonOptions {
  logBytes: number;
  media: RecoveryMedium[];
}

/** What the script prints. */
export interface RecoverySample {
  bytes: number;
  recoveryNs: number;
  digestNs: number;
  writeNs: number;
}

export interface RecoveryRow {
  name: string;
  medium: RecoveryMedium;
  recoverySeconds: Estimate;
  /** Speed of the digest / of plain writes. */
  digestSpeed: Estimate;
  gibibytesPerSecond: { recovery: Spread; digest: Spread; "plain write": Spread };
}
export type RecoveryRecord = BenchRecord<RecoveryMedium, RecoverySample, RecoveryRow>;

const defaults: RecoveryOptions = { ...commonDefaults, logBytes: 2 ** 30, media: ["memory", "disk"] };

function configure(command: Command): Command {
  command
    .option("--log-bytes <size>", "in the log, a whole number of MiB", sizeOption, defaults.logBytes)
    .addOption(
      new Option("--media <list>", "memory (tmpfs), disk (the directory for temporary files)")
        .argParser(wordsOption(media))
        .default(defaults.media, "memory,disk"),
    );
  return configureCommon(command, defaults);
}

function takeSample(medium: RecoveryMedium, bytes: number): Promise<RecoverySample> {
  const directory = mkdtempSync(join(medium === "memory" ? "/dev/shm" : tmpdir(), "zio-bench-recovery-"));
  const entry = join(createRequire(import.meta.url).resolve("@zio/nvm/package.json"), "../dist/index.js");
  const words = [serverScript("nvm-recovery.mjs"), entry, directory, bytes];
  const done = sampleRun(plain, 600_000, (run) => run.startClient(process.execPath, words).report<RecoverySample>());
  return done.finally(() => rmSync(directory, { recursive: true, force: true }));
}

function rowOf(cell: RecoveryRecord["cells"][number]): RecoveryRow {
  const samples = byPair(cell, "plain");
  const speed = (ns: keyof RecoverySample) => spread(samples.map((each) => each.bytes / 2 ** 30 / (each[ns] / 1e9)));
  return {
    name: cell.name,
    medium: cell.parameters,
    recoverySeconds: estimateMedian(samples.map(({ recoveryNs }) => recoveryNs / 1e9)),
    digestSpeed: estimateMedian(samples.map(({ digestNs, writeNs }) => writeNs / digestNs)),
    gibibytesPerSecond: {
      recovery: speed("recoveryNs"),
      digest: speed("digestNs"),
      "plain write": speed("writeNs"),
    },
  };
}

/** On disk they are reported: what the disk does decides. */
function targetsOf(rows: readonly RecoveryRow[], logBytes: number): Target[] {
  const most = (5 * logBytes) / 2 ** 30;
  return rows
    .filter(({ medium }) => medium === "memory")
    .flatMap(({ name, recoverySeconds, digestSpeed }) => [
      target(`seconds to recover ${name}`, "at-most", most, recoverySeconds),
      target(`speed of the digest / of plain writes, ${name}`, "at-least", 0.8, digestSpeed),
    ]);
}

async function run(options: RecoveryOptions, progress: Progress, command: string[]): Promise<RecoveryRecord> {
  const head = recordHead("recovery", command, options.cpus ?? chooseCpus());
  const started = performance.now();
  const cells = await measureInterleaved<RecoveryMedium, RecoverySample>({
    cells: options.media.map((medium) => ({
      name: `a log of ${options.logBytes / 2 ** 20} MiB in ${medium}`,
      parameters: medium,
    })),
    contenders: [plain],
    pairs: options.pairs,
    budgetSeconds: options.budgetSeconds,
    // Each sample compares every byte of the file.
    verify: async () => {},
    sample: (_, medium) => takeSample(medium, options.logBytes),
    progress,
  });
  const rows = cells.map(rowOf);
  return {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options, pairs: pairsTaken(cells) },
    contenders: [{ name: "plain", environment: {} }],
    cells,
    rows,
    targets: targetsOf(rows, options.logBytes),
  };
}

function report(record: BenchRecord): string {
  const speeds = ["recovery", "digest", "plain write"] as const;
  const rows = (record.rows as RecoveryRow[]).map((row) => [
    row.name,
    withInterval(row.digestSpeed, 1, 2, ""),
    withInterval(row.recoverySeconds, 1, 2, " s"),
    ...speeds.map((name) => fixed(row.gibibytesPerSecond[name].median, 2)),
  ]);
  const headings = ["what", "digest / plain write (95 %)", "recovery", ...speeds.map((name) => `${name} GiB/s`)];
  return [
    "applying a log to its file:",
    describeRun(record),
    "",
    renderTable(headings, rows),
    "",
    ...targetLines(record),
  ].join("\n");
}

export const recovery: Workload<RecoveryOptions> = {
  name: "recovery",
  summary: "applying the log of a pool to its file: after a kill, and by a digest beside plain writes",
  defaults,
  overview: { logBytes: 2 ** 28, media: ["memory"], pairs: 5 },
  configure,
  run,
  report,
  figure: (record) => ({
    title: "applying a log to its file",
    score: "speed of the digest / of plain writes",
    higherIsBetter: true,
    even: 0.8,
    values: "GiB/s",
    rows: (record.rows as RecoveryRow[]).map(({ name, digestSpeed, gibibytesPerSecond }) => ({
      name,
      score: digestSpeed,
      values: gibibytesPerSecond,
    })),
  }),
};
