// What `zio run --stats` does after the command: sums the counter pages into the file and removes their directory.
import { rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { say } from "../messages.js";
import { type Ending, type RunRecord, readRunRecord } from "../stats/record.js";

export interface RunFile extends RunRecord {
  command: string[];
  pid: number;
  ending: Ending;
}

function signalName(number: number): NodeJS.Signals {
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  // SIGIOT comes first and is another name of SIGABRT.
  return (
    names.find(([name, value]) => value === number && name !== "SIGIOT")?.[0] ?? (`SIG${number}` as NodeJS.Signals)
  );
}

/** Takes the words that the plan put behind "record", with the three that the launcher added. */
export function recordRun(words: readonly string[]): void {
  const [file = "", directory = "", ...rest] = words;
  const [pid = "0", how, value = "0"] = rest.slice(-3);
  const record: RunFile = {
    ...readRunRecord(directory),
    command: rest.slice(0, -3),
    pid: Number(pid),
    ending: how === "killed" ? { signal: signalName(Number(value)) } : { status: Number(value) },
  };
  try {
    writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`);
  } catch (error) {
    say(`cannot write the counters to ${file}: ${(error as Error).message}`);
  }
  rmSync(directory, { recursive: true, force: true });
}
