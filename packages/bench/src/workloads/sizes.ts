// `sizes`: the echo with 5 copies, for messages from 4 KiB to 4 MiB. Large messages must give back most of what their
// copies cost; small ones must cost what they cost plain.
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
import { sizesOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, type Target, target } from "../record.js";
import { type Estimate, inverse } from "../statistics.js";
import { kibibytes, withInterval } from "../table.js";
import type { Workload } from "../workload.js";

const copiesOfEach = 5;
/** From here on copies must be recovered; below, zIO must not be felt. */
const largeBytes = 64 << 10;
/** About as much data in each sample, within these numbers of messages. */
const sampleBytes = 512 * 2 ** 20;
const messageBounds = { least: 100, most: 4_000 };

export interface SizesOptions extends Omit<SweepOptions, "messages"> {
  messageBytes: number[];
  /** Of one sample; as many as carry half a gibibyte unless told. */
  messages?: number | undefined;
}

export interface SizesRow extends EchoRow {
  messageBytes: number;
  recovered: Estimate;
  bound: Estimate;
}

export type SizesRecord = BenchRecord<EchoSettings, EchoSample, SizesRow>;

const { messages: _, ...sweep } = sweepDefaults;
const defaults: SizesOptions = {
  ...sweep,
  messageBytes: [4, 16, 64, 256, 1024, 4096].map((kibibytes) => kibibytes * 1024),
};

/** Cells come in twos: of each size that without copies, then the one with them. */
export function sizesRows(cells: readonly EchoCell<EchoSettings>[]): SizesRow[] {
  const rows: SizesRow[] = [];
  for (let at = 0; at + 1 < cells.length; at += 2) {
    const [none, cell] = [cells[at]!, cells[at + 1]!];
    const { messageBytes } = cell.parameters;
    rows.push({ messageBytes, ...echoRow(cell), recovered: recoveredShare(cell, none), bound: boundOf(cell, none) });
  }
  return rows;
}

export function sizesTargets(rows: readonly SizesRow[]): Target[] {
  return rows.map(({ messageBytes, recovered, ratio }) =>
    messageBytes < largeBytes
      ? target(`CPU per message of ${kibibytes(messageBytes)}, zIO / plain`, "at-most", 1.02, inverse(ratio))
      : target(`share of the copies' cost recovered at ${kibibytes(messageBytes)}`, "at-least", 0.8, recovered),
  );
}

function configure(command: Command): Command {
  command.addOption(
    new Option("--message-bytes <list>", "sizes of messages")
      .argParser(sizesOption)
      .default(defaults.messageBytes, "4K,16K,64K,256K,1M,4M"),
  );
  return configureSweep(command, { ...sweepDefaults, messages: undefined });
}

function messagesOf(messageBytes: number): number {
  return Math.max(messageBounds.least, Math.min(messageBounds.most, Math.round(sampleBytes / messageBytes)));
}

function run(options: SizesOptions, progress: Progress, command: string[]): Promise<SizesRecord> {
  return runSweep(
    {
      name: "sizes",
      options: { ...options, messages: options.messages ?? messageBounds.most },
      cells: options.messageBytes.flatMap((messageBytes) =>
        [0, copiesOfEach].map((copies) => ({
          name: `${kibibytes(messageBytes)}, ${copies} copies`,
          parameters: { copies, messageBytes, messages: options.messages ?? messagesOf(messageBytes) },
        })),
      ),
      rows: sizesRows,
      targets: sizesTargets,
    },
    progress,
    command,
  );
}

function report(record: BenchRecord): string {
  return sweepReport<SizesRow>(
    record,
    `echo with ${copiesOfEach} copies`,
    ["KiB", (row) => String(row.messageBytes / 1024)],
    [
      ["recovered (95 %)", (row) => withInterval(row.recovered, 100, 0, " %")],
      ["bound", (row) => row.bound.median.toFixed(2)],
    ],
  );
}

export const sizes: Workload<SizesOptions> = {
  name: "sizes",
  summary: `an echo server that copies messages of 4 KiB to 4 MiB ${copiesOfEach} times`,
  defaults,
  overview: { messageBytes: [16_384, 524_288] },
  configure,
  run,
  report,
  figure: (record) =>
    cpuFigure("echo with 5 copies", record.rows as SizesRow[], ({ messageBytes }) => kibibytes(messageBytes), echoCpu),
};
