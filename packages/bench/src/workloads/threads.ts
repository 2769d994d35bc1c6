// `threads`: the echo of 512 KiB with 0 and 4 copies by 1 to 8 threads of the server, each with a connection of its own.
// What a message costs may grow with the threads no faster than it does plain, and nobody may wait for zIO's locks.
import { type Command, Option } from "commander";
import type { EchoSample } from "../echo.js";
import {
  configureSweep,
  type EchoCell,
  type EchoRow,
  type EchoSettings,
  echoCpu,
  echoRow,
  runSweep,
  type SweepOptions,
  serverCpuNs,
  sweepDefaults,
  sweepReport,
} from "../echo-sweep.js";
import { cpuFigure } from "../figure.js";
import { naturalsOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, type Target, target } from "../record.js";
import { type Estimate, estimateMedian } from "../statistics.js";
import { withInterval } from "../table.js";
import { byPair, type Workload } from "../workload.js";

const messageBytes = 512 << 10;

export interface ThreadsOptions extends SweepOptions {
  threads: number[];
  copies: number[];
}

export interface ThreadsRow extends EchoRow {
  threads: number;
  copies: number;
  /** (zIO_T / zIO_1) / (plain_T / plain_1) of the CPU time per message. */
  growth: Estimate;
  /**
   * The same of plain without copies, (none_T / none_1) / (plain_T / plain_1): the growth if the copies cost nothing at
   * all. At copies > 0, where 0 copies are measured too.
   */
  growthWithoutCopies?: Estimate | undefined;
  /** Of the time that the server's threads had, the share that they slept for locks of zIO. */
  lockSleep: Estimate;
}

export interface ThreadsSettings extends EchoSettings {
  connections: number;
}

export type ThreadsRecord = BenchRecord<ThreadsSettings, EchoSample, ThreadsRow>;

const defaults: ThreadsOptions = { ...sweepDefaults, threads: [1, 2, 4, 8], copies: [0, 4] };

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--threads <list>", "numbers of server threads; 1 is always among them")
        .argParser(naturalsOption)
        .default(defaults.threads, "1,2,4,8"),
    )
    .addOption(
      new Option("--copies <list>", "numbers of copies").argParser(naturalsOption).default(defaults.copies, "0,4"),
    );
  return configureSweep(command, defaults);
}

function lockSleepShare({ server, counters }: EchoSample, threads: number): number {
  const all = (server.messages + server.warmupMessages) / server.messages;
  return (counters?.lockSleepNs ?? 0) / (server.wallNs * all * threads);
}

/** (of_T / of_1) / (plain_T / plain_1), pair by pair. */
function growthOf(of: [many: number[], one: number[]], plain: [many: number[], one: number[]]): Estimate {
  return estimateMedian(of[0].map((ns, pair) => ns / of[1][pair]! / (plain[0][pair]! / plain[1][pair]!)));
}

/** `single` is the same with one thread; `none`: both without copies. */
function threadsRow(
  cell: EchoCell<ThreadsSettings>,
  single: EchoCell,
  none?: { cell: EchoCell; single: EchoCell },
): ThreadsRow {
  const { connections: threads, copies } = cell.parameters;
  const costs = (contender: string, many: EchoCell, one: EchoCell): [number[], number[]] => [
    byPair(many, contender).map(serverCpuNs),
    byPair(one, contender).map(serverCpuNs),
  ];
  const plain = costs("plain", cell, single);
  const bound = none && copies > 0 ? growthOf(costs("plain", none.cell, none.single), plain) : undefined;
  return {
    threads,
    copies,
    ...echoRow(cell),
    growth: growthOf(costs("zio", cell, single), plain),
    ...(bound && { growthWithoutCopies: bound }),
    lockSleep: estimateMedian(byPair(cell, "zio").map((sample) => lockSleepShare(sample, threads))),
  };
}

/** Rows of cells that come copies by copies, and for each the numbers of threads from 1 up. */
export function threadsRows(cells: EchoCell<ThreadsSettings>[], threadCounts: number): ThreadsRow[] {
  const withoutCopies = cells.findIndex(({ parameters }) => parameters.copies === 0);
  return cells.map((cell, index) => {
    const at = index % threadCounts;
    const none = withoutCopies >= 0 && { cell: cells[withoutCopies + at]!, single: cells[withoutCopies]! };
    return threadsRow(cell, cells[index - at]!, none || undefined);
  });
}

export function threadsTargets(rows: readonly ThreadsRow[]): Target[] {
  return rows.flatMap(({ threads, copies, growth, growthWithoutCopies, lockSleep }) => {
    const where = `${threads} threads, ${copies} copies`;
    const share = target(`share of time slept for locks with ${where}`, "at-most", 0.01, lockSleep);
    if (threads === 1) return [share];
    const what = `growth of CPU per message from 1 thread to ${where}, zIO / plain`;
    const limit = growthWithoutCopies && { what: "plain without copies", measured: growthWithoutCopies };
    return [target(what, "at-most", 1.03, growth, limit), share];
  });
}

function run(options: ThreadsOptions, progress: Progress, command: string[]): Promise<ThreadsRecord> {
  const threads = [...new Set([1, ...options.threads])].sort((left, right) => left - right);
  return runSweep(
    {
      name: "threads",
      options,
      everyCpu: true,
      cells: options.copies.flatMap((copies) =>
        threads.map((connections) => ({
          name: `${connections} threads, ${copies} copies`,
          parameters: {
            ...{ copies, messageBytes, connections },
            ...{ messages: Math.ceil(options.messages / connections) },
            ...{ warmup: Math.ceil(options.warmup / connections) },
          },
        })),
      ),
      rows: (cells) => threadsRows(cells, threads.length),
      targets: threadsTargets,
    },
    progress,
    command,
  );
}

function report(record: BenchRecord): string {
  return sweepReport<ThreadsRow>(
    record,
    `echo of ${messageBytes / 1024} KiB, a thread for each connection, on every core`,
    ["threads, copies", ({ threads, copies }) => `${threads}, ${copies}`],
    [
      ["growth (95 %)", (row) => withInterval(row.growth, 1, 2, "")],
      ["without copies", ({ growthWithoutCopies: bound }) => (bound ? withInterval(bound, 1, 2, "") : "")],
      ["slept for locks", (row) => withInterval(row.lockSleep, 100, 2, " %")],
    ],
  );
}

export const threads: Workload<ThreadsOptions> = {
  name: "threads",
  summary: "an echo server of 1 to 8 threads with 0 and 4 copies",
  defaults,
  overview: { threads: [1, 4] },
  configure,
  run,
  report,
  figure: (record) =>
    cpuFigure(
      "echo by several threads",
      record.rows as ThreadsRow[],
      ({ threads, copies }) => `${threads} threads, ${copies} copies`,
      echoCpu,
    ),
};
