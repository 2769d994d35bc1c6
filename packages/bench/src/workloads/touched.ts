// `touched`: the echo with a copy of which the server then reads or rewrites 0 to 100 %, every word of it, from the front
// or page by page at random. Whoever touches all of his data gains nothing by zIO, and must not lose either.
import { type Command, Option } from "commander";
import type { EchoSample } from "../echo.js";
import {
  configureSweep,
  type EchoRow,
  type EchoSettings,
  echoCpu,
  echoRow,
  runSweep,
  type SweepOptions,
  sweepDefaults,
  sweepReport,
} from "../echo-sweep.js";
import { cpuFigure } from "../figure.js";
import { naturalsOption, oneOfOption, sizesOption, wholeOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, target } from "../record.js";
import { inverse } from "../statistics.js";
import { kibibytes } from "../table.js";
import type { Workload } from "../workload.js";

/** About as much data in each sample, within these numbers of messages. */
const sampleBytes = 256 * 2 ** 20;
const messageBounds = { least: 50, most: 1000 };

export interface TouchedOptions extends Omit<SweepOptions, "messages"> {
  messageBytes: number[];
  /** Shares of the data that are touched, in percent. */
  touchedPercent: number[];
  copies: number;
  /** Only this way to touch; both unless told. */
  touchMode?: "read" | "write" | undefined;
  touchOrder?: "sequential" | "random" | undefined;
  /** Of one sample; as many as carry a quarter of a gibibyte unless told. */
  messages?: number | undefined;
}

export interface TouchedRow extends EchoRow {
  /** Size, manner and share. */
  name: string;
  settings: EchoSettings;
}

export type TouchedRecord = BenchRecord<EchoSettings, EchoSample, TouchedRow>;

const { messages: _, ...sweep } = sweepDefaults;
const defaults: TouchedOptions = {
  ...sweep,
  messageBytes: [512 << 10, 4 << 20],
  touchedPercent: [0, 10, 25, 50, 100],
  copies: 1,
};

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--message-bytes <list>", "sizes of messages")
        .argParser(sizesOption)
        .default(defaults.messageBytes, "512K,4M"),
    )
    .addOption(
      new Option("--touched-percent <list>", "shares of each message that the server touches")
        .argParser(naturalsOption)
        .default(defaults.touchedPercent, "0,10,25,50,100"),
    )
    .option("--copies <n>", "copies before", wholeOption, defaults.copies)
    .option("--touch-mode <mode>", "read or write (both)", oneOfOption(["read", "write"] as const))
    .option("--touch-order <order>", "sequential or random (both)", oneOfOption(["sequential", "random"] as const));
  return configureSweep(command, { ...sweepDefaults, messages: undefined });
}

/** At 0 % there is no manner of touching. */
function settingsOf(options: TouchedOptions): EchoSettings[] {
  const modes = options.touchMode ? [options.touchMode] : (["read", "write"] as const);
  const orders = options.touchOrder ? [options.touchOrder] : (["sequential", "random"] as const);
  const settings: EchoSettings[] = [];
  for (const messageBytes of options.messageBytes) {
    const most = Math.round(sampleBytes / messageBytes);
    const usual = Math.max(messageBounds.least, Math.min(messageBounds.most, most));
    const messages = options.messages ?? usual;
    const common = { copies: options.copies, messageBytes, messages, warmup: Math.min(options.warmup, messages) };
    if (options.touchedPercent.includes(0)) settings.push(common);
    for (const touchedPercent of options.touchedPercent.filter((percent) => percent > 0))
      for (const touchMode of modes)
        for (const touchOrder of orders) settings.push({ ...common, touchedPercent, touchMode, touchOrder });
  }
  return settings;
}

function nameOf({ messageBytes, touchedPercent, touchMode, touchOrder }: EchoSettings): string {
  const size = kibibytes(messageBytes);
  return touchedPercent ? `${size}, ${touchedPercent} % ${touchMode}, ${touchOrder}` : `${size}, untouched`;
}

function run(options: TouchedOptions, progress: Progress, command: string[]): Promise<TouchedRecord> {
  return runSweep(
    {
      name: "touched",
      options: { ...options, messages: options.messages ?? messageBounds.most },
      cells: settingsOf(options).map((settings) => ({ name: nameOf(settings), parameters: settings })),
      rows: (cells) => cells.map((cell) => ({ name: cell.name, settings: cell.parameters, ...echoRow(cell) })),
      targets: (rows) =>
        rows.map(({ name, ratio }) =>
          target(`CPU per message of ${name}, zIO / plain`, "at-most", 1.03, inverse(ratio)),
        ),
    },
    progress,
    command,
  );
}

function report(record: BenchRecord): string {
  const title = `echo with ${record.options.copies} copies, of which the last is touched`;
  return sweepReport<TouchedRow>(record, title, ["message", (row) => row.name], []);
}

export const touched: Workload<TouchedOptions> = {
  name: "touched",
  summary: "an echo server that reads or writes 0 to 100 % of what it copied",
  defaults,
  overview: { messageBytes: [512 << 10], touchedPercent: [0, 25, 100], touchOrder: "sequential" },
  configure,
  run,
  report,
  figure: (record) =>
    cpuFigure("echo with a copy of which a share is touched", record.rows as TouchedRow[], ({ name }) => name, echoCpu),
};
