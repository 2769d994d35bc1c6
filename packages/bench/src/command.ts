// `zio bench`: a subcommand for each workload. Progress goes to standard error, the table to standard output, unless
// `--json -` wants that for the record.
import { Command } from "commander";
import { BenchError } from "./bench-error.js";
import { stderrProgress } from "./progress.js";
import { writeRecord } from "./record.js";
import { run, type WorkloadName, workloads } from "./run.js";

interface OutputOptions {
  json?: string;
  check?: boolean;
}

/** Of a run that could not be, because a program is not installed. */
const skippedStatus = 77;

/** The words of the command line from `bench` on, after the name of the program. */
function typedCommand(name: string): string[] {
  const words = process.argv.slice(2);
  const from = words.indexOf("bench");
  return ["zio", ...(from < 0 ? ["bench", name] : words.slice(from))];
}

export const command = new Command("bench").description(
  "measure programs plain and under zIO, interleaved, with raw samples",
);

for (const workload of workloads) {
  workload
    .configure(command.command(workload.name).description(workload.summary))
    .option("--json <file>", "write the record with its raw samples; - for standard output")
    .option("--check", "end with status 1 when a target is not met")
    .action(async ({ json, check, ...options }: OutputOptions & Record<string, unknown>) => {
      const progress = stderrProgress();
      try {
        const record = await run(workload.name as WorkloadName, options, {
          progress,
          command: typedCommand(workload.name),
        });
        if (json !== undefined) writeRecord(record, json);
        (json === "-" ? process.stderr : process.stdout).write(`${workload.report(record)}\n`);
        if (check && record.targets.some(({ met }) => !met)) process.exitCode = 1;
      } catch (error) {
        progress.end();
        if (!(error instanceof BenchError)) throw error;
        const missing = error.code === "missing-program";
        process.stderr.write(`zio bench: ${missing ? "skipped: " : ""}${error.message}\n`);
        process.exitCode = missing ? skippedStatus : 1;
      }
    });
}
