// `faults`: the echo of 512 KiB with 4 copies, of which the server then reads 0 to 12 pages. Each page that is read costs
// a fault unless zIO learns to leave the site alone; it must never cost more than the copies that it was to save.
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
import { naturalsOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, target } from "../record.js";
import { inverse } from "../statistics.js";
import type { Workload } from "../workload.js";

const messageBytes = 512 << 10;
const copies = 4;

export interface FaultsOptions extends SweepOptions {
  /** Numbers of pages to read of each message, spread over it. */
  touchedPages: number[];
}

export interface FaultsRow extends EchoRow {
  touchedPages: number;
}

export type FaultsRecord = BenchRecord<EchoSettings, EchoSample, FaultsRow>;

const defaults: FaultsOptions = { ...sweepDefaults, touchedPages: [0, 1, 2, 4, 8, 12] };

function configure(command: Command): Command {
  command.addOption(
    new Option("--touched-pages <list>", "numbers of pages that the server reads of each message")
      .argParser(naturalsOption)
      .default(defaults.touchedPages, "0,1,2,4,8,12"),
  );
  return configureSweep(command, defaults);
}

function run(options: FaultsOptions, progress: Progress, command: string[]): Promise<FaultsRecord> {
  return runSweep(
    {
      name: "faults",
      options,
      cells: options.touchedPages.map((touchedPages) => ({
        name: `${touchedPages} pages touched`,
        parameters: { copies, messageBytes, touchedPages },
      })),
      rows: (cells) => cells.map((cell) => ({ touchedPages: cell.parameters.touchedPages, ...echoRow(cell) })),
      targets: (rows) =>
        rows.map(({ touchedPages, ratio }) =>
          target(`CPU per message with ${touchedPages} pages touched, zIO / plain`, "at-most", 1.03, inverse(ratio)),
        ),
    },
    progress,
    command,
  );
}

function report(record: BenchRecord): string {
  const title = `echo of ${messageBytes / 1024} KiB with ${copies} copies`;
  return sweepReport<FaultsRow>(record, title, ["pages", (row) => String(row.touchedPages)], []);
}

export const faults: Workload<FaultsOptions> = {
  name: "faults",
  summary: "an echo server that reads 0 to 12 pages of each message it copied",
  defaults,
  overview: { touchedPages: [0, 4, 12] },
  configure,
  run,
  report,
  figure: (record) =>
    cpuFigure(
      "echo with 4 copies, of which pages are read",
      record.rows as FaultsRow[],
      ({ touchedPages }) => `${touchedPages} pages`,
      echoCpu,
    ),
};
