// `copies`: a server receives 512 KiB, copies it N times from buffer to buffer and sends the last copy back. What matters
// is the server's CPU time per message, the thread of zIO included, and how much of what the copies cost comes back.
import { type Command, Option } from "commander";
import type { EchoSample } from "../echo.js";
import {
  boundOf,
  configureSweep,
  type EchoCell,
  type EchoRow,
  type EchoSettings,
  echoCpu,
  echoRow,
  recoveredShare,
  runSweep,
  type SweepOptions,
  sweepDefaults,
  sweepReport,
} from "../echo-sweep.js";
import { cpuFigure } from "../figure.js";
import { naturalsOption, sizeOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, type Target, target } from "../record.js";
import { type Estimate, inverse } from "../statistics.js";
import { withInterval } from "../table.js";
import { byPair, type Workload } from "../workload.js";

export interface CopiesOptions extends SweepOptions {
  /** Numbers of copies to measure; 0 is always among them, because the others are judged by it. */
  copies: number[];
  messageBytes: number;
}

export interface CopiesRow extends EchoRow {
  copies: number;
  /** (plain_N - zIO_N) / (plain_N - plain_0); null at 0 copies. */
  recovered: Estimate | null;
  /** plain_N / plain_0: the ratio if the copies cost nothing at all. */
  bound: Estimate;
  /** The share that is recovered by a plain server without copies that leaves the last message intact; at copies > 0. */
  recoverable?: Estimate | undefined;
}

export type CopiesRecord = BenchRecord<EchoSettings, EchoSample, CopiesRow>;

const defaults: CopiesOptions = { ...sweepDefaults, copies: [0, 1, 2, 4, 8, 12], messageBytes: 512 << 10 };

/** The last message is shown while the next one arrives: whoever copies nothing needs two buffers for that. */
const inTurn = 2;

export function copiesRow(cell: EchoCell<{ copies: number }>, baseline: EchoCell, turning?: EchoCell): CopiesRow {
  const { copies } = cell.parameters;
  const recovered = copies === 0 ? null : recoveredShare(cell, baseline);
  const recoverable = copies > 0 && turning ? recoveredShare(cell, baseline, byPair(turning, "plain")) : undefined;
  return { copies, ...echoRow(cell), recovered, bound: boundOf(cell, baseline), ...(recoverable && { recoverable }) };
}

/** Of a single copy, which is cheap beside the system calls, no share is asked. */
export function copiesTargets(rows: readonly CopiesRow[]): Target[] {
  return rows.flatMap((row) => {
    if (!row.recovered)
      return [target("CPU per message at 0 copies, zIO / plain", "at-most", 1.02, inverse(row.ratio))];
    if (row.copies < 2) return [];
    const what = "two buffers in turn, plain and without copies";
    const share = target(
      `share of the copies' cost recovered at ${row.copies}`,
      "at-least",
      0.9,
      row.recovered,
      row.recoverable && { what, measured: row.recoverable },
    );
    if (row.copies !== 8) return [share];
    return [target("CPU per message at 8 copies, plain / zIO", "at-least", 1.8, row.ratio), share];
  });
}

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--copies <list>", "numbers of copies")
        .argParser(naturalsOption)
        .default(defaults.copies, "0,1,2,4,8,12"),
    )
    .addOption(
      new Option("--message-bytes <size>", "of a message").argParser(sizeOption).default(defaults.messageBytes, "512K"),
    );
  return configureSweep(command, defaults);
}

function run(options: CopiesOptions, progress: Progress, command: string[]): Promise<CopiesRecord> {
  const counts = [...new Set([0, ...options.copies])].sort((left, right) => left - right);
  return runSweep<EchoSettings, CopiesRow>(
    {
      name: "copies",
      options,
      cells: [
        ...counts.map((copies) => ({
          name: `${copies} copies`,
          parameters: { copies, messageBytes: options.messageBytes },
        })),
        {
          name: "0 copies, two buffers in turn",
          parameters: { copies: 0, messageBytes: options.messageBytes, inTurn },
        },
      ],
      rows: (cells) => cells.slice(0, -1).map((cell) => copiesRow(cell, cells[0]!, cells.at(-1))),
      targets: copiesTargets,
    },
    progress,
    command,
  );
}

function report(record: BenchRecord): string {
  const title = `echo of ${Number(record.options.messageBytes) / 1024} KiB`;
  return sweepReport<CopiesRow>(
    record,
    title,
    ["copies", (row) => String(row.copies)],
    [
      ["recovered (95 %)", (row) => (row.recovered ? withInterval(row.recovered, 100, 0, " %") : "")],
      ["recoverable", (row) => (row.recoverable ? withInterval(row.recoverable, 100, 0, " %") : "")],
      ["bound", (row) => row.bound.median.toFixed(2)],
    ],
  );
}

export const copies: Workload<CopiesOptions> = {
  name: "copies",
  summary: "an echo server that copies each message 0 to 12 times",
  defaults,
  overview: { copies: [0, 4, 8] },
  configure,
  run,
  report,
  figure: (record) =>
    cpuFigure("echo that copies each message", record.rows as CopiesRow[], ({ copies }) => `${copies} copies`, echoCpu),
};
