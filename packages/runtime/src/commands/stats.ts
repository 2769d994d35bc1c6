import { setTimeout as sleep } from "node:timers/promises";
import type { StatsPage } from "@zio/interpose";
import { Command, InvalidArgumentError } from "commander";
import { describeBytes } from "../doctor/proc.js";
import { CommandError, exitStatus } from "../exit-status.js";
import { answer, hasColour, paint } from "../messages.js";
import { liveProcess, liveProcesses, startTicksOf } from "../stats/live-processes.js";
import { processRecord } from "../stats/record.js";
import { renderTable } from "../text-table.js";

interface StatsOptions {
  json?: boolean;
  watch?: boolean;
  interval: number;
}

const clearScreen = "\x1b[H\x1b[2J";

function renderProcesses(pages: readonly StatsPage[], colour: boolean): string {
  if (pages.length === 0) return "No process runs under zIO; start one with `zio run -- command`.";
  const rows = pages.map((page) => {
    const record = processRecord(page);
    const bytes = [record.redirectedBytes, record.elidedBytes, record.copiedBytes, record.materialisedBytes];
    return [
      String(page.pid),
      page.command,
      page.state,
      ...bytes.map(describeBytes),
      String(record.faults),
      String(record.views),
    ];
  });
  const headings = ["pid", "command", "state", "redirected", "elided", "copied", "materialised", "faults", "views"];
  const [head = "", ...body] = renderTable(headings, rows, 3).split("\n");
  return [paint(colour, "bold", head), ...body].join("\n");
}

function renderProcess(page: StatsPage, colour: boolean): string {
  const title = `${page.command} (${page.pid}): ${page.state}, policy ${page.policy}`;
  const rows = Object.entries(page.counters).map(([name, value]) => [
    name,
    String(value),
    name.endsWith("Bytes") ? describeBytes(value) : "",
  ]);
  return `${paint(colour, "bold", title)}\n${renderTable(["counter", "value", ""], rows)}`;
}

function pageOf(pid: number): StatsPage {
  const page = liveProcess(pid);
  if (page) return page;
  const message =
    startTicksOf(pid) === undefined
      ? `there is no process ${pid}`
      : `process ${pid} does not run under zIO, or is another user's; start it with \`zio run -- command\``;
  throw new CommandError(message, exitStatus.failure);
}

function show(pages: readonly StatsPage[], pid: number | undefined, { json, watch }: StatsOptions): void {
  if (json) {
    answer(JSON.stringify({ version: 1, processes: pages.map(processRecord) }, null, watch ? 0 : 2));
    return;
  }
  const colour = hasColour(1);
  const text = pid === undefined ? renderProcesses(pages, colour) : renderProcess(pages[0]!, colour);
  answer(watch && process.stdout.isTTY ? `${clearScreen}${text}` : text);
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It takes a number above 0.");
  return value;
}

function processId(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("It takes a process ID.");
  return Number(text);
}

/** `zio stats`: status 1 where the process is not there or not under zIO. */
export function statsCommand(): Command {
  return new Command("stats")
    .description("show the live counters of processes under zIO")
    .argument("[pid]", "one process, with all its counters", processId)
    .option("--json", "print them as JSON; with --watch one line a refresh")
    .option("--watch", "refresh until interrupted, or until the process is gone")
    .option("--interval <seconds>", "between refreshes", positiveNumber, 1)
    .action(async (pid: number | undefined, options: StatsOptions) => {
      show(pid === undefined ? liveProcesses() : [pageOf(pid)], pid, options);
      while (options.watch) {
        await sleep(options.interval * 1000);
        // A process takes its page away before it is gone: then it is over, and no mistake of whoever asked.
        const page = pid === undefined ? undefined : liveProcess(pid);
        if (pid !== undefined && page === undefined) return;
        show(page ? [page] : liveProcesses(), pid, options);
      }
    });
}
