// `apis`: a file of 512 KiB served in chunks of 64 KiB by read and send, by what the kernel offers to avoid that copy, and
// by read and send under zIO. With several threads, as unmapping then interrupts the other cores: TLB shootdowns.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { BenchError } from "../bench-error.js";
import { type CommonOptions, commonDefaults, configureCommon } from "../common-options.js";
import {
  type ComparisonRow,
  comparisonReport,
  comparisonRow,
  type ObservedCell,
  runComparison,
  type SampleManner,
} from "../comparison.js";
import { type Contender, programPath, usualContenders } from "../contender.js";
import { cpuFigure } from "../figure.js";
import { loadSample, type Observation } from "../load.js";
import { naturalsOption, wholeOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, target } from "../record.js";
import { type Spread, spread } from "../statistics.js";
import { fixed } from "../table.js";
import { byPair, type Workload } from "../workload.js";

const fileBytes = 512 << 10;
const chunkBytes = 64 << 10;
/** Besides read and send, in the words of zio-file-server. */
const otherMethods = ["mmap", "sendfile", "splice", "zerocopy", "uring-zerocopy"] as const;

export interface ApisOptions extends CommonOptions {
  /** Numbers of threads, each with a connection of its own. */
  threads: number[];
  /** Requests of one sample. */
  operations: number;
}

export interface ApisSettings {
  threads: number;
}

export interface ApisRow extends ComparisonRow {
  /** TLB shootdowns of the whole machine per request, by contender. */
  shootdowns: Record<string, Spread>;
}

export type ApisRecord = BenchRecord<ApisSettings, Observation, ApisRow>;

const defaults: ApisOptions = { ...commonDefaults, threads: [1, 4], operations: 600 };

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--threads <list>", "numbers of server threads")
        .argParser(naturalsOption)
        .default(defaults.threads, "1,4"),
    )
    .option("--operations <n>", "requests of one sample", wholeOption, defaults.operations);
  return configureCommon(command, defaults);
}

/** Of all cores since the start of the machine; x86 counts them under this name. */
function tlbShootdowns(): number {
  const line = /^\s*TLB:([\d\s]*)/m.exec(readFileSync("/proc/interrupts", "utf8"))?.[1] ?? "";
  return line.split(/\s+/).reduce((sum, part) => sum + Number(part), 0);
}

async function sample(
  contender: Contender,
  { threads }: ApisSettings,
  manner: SampleManner,
  file: string,
  operations: number,
): Promise<Observation> {
  const method = otherMethods.find((name) => name === contender.name) ?? "read";
  const each = Math.ceil((manner.verify === "all" ? Math.min(50, operations) : operations) / threads);
  const before = tlbShootdowns();
  const observed = await loadSample(contender, {
    ...manner,
    // Threads are to run side by side.
    cpus: threads > 1 ? undefined : manner.cpus,
    server: () => [programPath("zio-file-server"), "--file", file, "--chunk", chunkBytes, "--method", method],
    printsPort: true,
    load: [
      ...["--protocol", "file", "--value", fileBytes, "--content", file, "--connections", threads, "--keys", 1],
      ...["--operations", each, "--warmup", Math.ceil(each / 10)],
    ],
  });
  return { ...observed, extra: { tlbShootdowns: tlbShootdowns() - before } };
}

/** The methods that this kernel has, and why the others do not take part. */
async function methodsThatWork(try_: (contender: Contender) => Promise<unknown>) {
  const skipped: { what: string; reason: string }[] = [];
  const contenders: Contender[] = [];
  for (const name of otherMethods) {
    const contender = { name, environment: {}, counts: false };
    try {
      await try_(contender);
      contenders.push(contender);
    } catch (error) {
      if (!(error instanceof BenchError) || error.code !== "program-failed") throw error;
      skipped.push({ what: name, reason: error.message });
    }
  }
  return { contenders, skipped };
}

function rowOf(cell: ObservedCell<ApisSettings>): ApisRow {
  const names = [...new Set(cell.samples.map(({ contender }) => contender))];
  const perRequest = ({ extra, operations, preparedOperations }: Observation) =>
    (extra?.tlbShootdowns ?? 0) / (operations + preparedOperations);
  const shootdowns = names.map((name) => [name, spread(byPair(cell, name).map(perRequest))] as const);
  return { ...comparisonRow(cell), shootdowns: Object.fromEntries(shootdowns) };
}

async function run(options: ApisOptions, progress: Progress, command: string[]): Promise<ApisRecord> {
  const directory = mkdtempSync(join(tmpdir(), "zio-bench-apis-"));
  const file = join(directory, "file.bin");
  try {
    writeFileSync(file, randomBytes(fileBytes));
    const manner: SampleManner = { verify: "all", seed: 1, cpus: undefined };
    const { contenders, skipped } = await methodsThatWork((contender) =>
      sample(contender, { threads: 1 }, manner, file, 2),
    );
    return await runComparison<ApisSettings, ApisRow>(
      {
        name: "apis",
        options,
        contenders: [...usualContenders(options), ...contenders],
        skipped,
        cells: options.threads.map((threads) => ({
          name: threads === 1 ? "1 thread" : `${threads} threads`,
          parameters: { threads },
        })),
        sample: (contender, settings, how) => sample(contender, settings, how, file, options.operations),
        row: rowOf,
        targets: (rows) =>
          rows.map(({ name, ratio }) =>
            target(`CPU per request with ${name}, read and send plain / under zIO`, "at-least", 1, ratio),
          ),
      },
      progress,
      command,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function report(record: BenchRecord): string {
  const shootdowns = (row: ApisRow) =>
    Object.entries(row.shootdowns)
      .map(([name, { median }]) => `${name} ${fixed(median, 2)}`)
      .join(", ");
  return comparisonReport<ApisRow>(
    record,
    `a file of ${fileBytes / 1024} KiB in chunks of ${chunkBytes / 1024} KiB (plain is read and send)`,
    [["TLB shootdowns a request", shootdowns]],
  );
}

export const apis: Workload<ApisOptions> = {
  name: "apis",
  summary: "a file served by read and send, mmap, sendfile, splice, MSG_ZEROCOPY, io_uring, and under zIO",
  defaults,
  overview: { threads: [1], operations: 300 },
  configure,
  run,
  report,
  figure: (record) =>
    cpuFigure(
      "a file of 512 KiB in chunks of 64 KiB; plain is read and send",
      record.rows as ApisRow[],
      ({ name }) => name,
      ({ cpuNs }) => cpuNs,
    ),
};
