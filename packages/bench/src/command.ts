// `zio bench`: a subcommand for each workload, and those that run several or work on records. Progress goes to standard
// error, the table to standard output, unless `--json -` wants that for the record.
import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { overviewRuns, type RunSet, runSet, type SetOptions, setDefaults, setReport } from "./all.js";
import { BenchError } from "./bench-error.js";
import { comparedReport, compareRecords } from "./compare.js";
import { policies } from "./contender.js";
import { oneOfOption, wholeOption } from "./option-parsers.js";
import { readRecords, writeJson, writePlot } from "./output.js";
import { benchmarksPage } from "./pages/benchmarks-page.js";
import { paperPage } from "./pages/paper-page.js";
import { paperRuns } from "./paper-experiments.js";
import { type Progress, stderrProgress } from "./progress.js";
import { recordInto } from "./recording.js";
import { parseAddress, serveSamples } from "./remote.js";
import { run, type WorkloadName, workloads } from "./run.js";

interface OutputOptions {
  json?: string;
  plot?: string;
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

/** Runs it; what a benchmark can complain of becomes one line. */
async function orComplain(action: (progress: Progress) => Promise<void>): Promise<void> {
  const progress = stderrProgress();
  try {
    await action(progress);
  } catch (error) {
    progress.end();
    if (!(error instanceof BenchError)) throw error;
    const missing = error.code === "missing-program";
    process.stderr.write(`zio bench: ${missing ? "skipped: " : ""}${error.message}\n`);
    process.exitCode = missing ? skippedStatus : 1;
  }
}

function say(text: string, { json }: OutputOptions): void {
  (json === "-" ? process.stderr : process.stdout).write(`${text}\n`);
}

/** Waits for the other end until a signal comes. */
async function serve(listen: string): Promise<void> {
  const { host, port } = parseAddress(listen);
  await serveSamples(host, port);
  process.stderr.write(`zio bench: serving on ${host} port ${port}; whoever can connect can start echo servers here\n`);
}

export const command = new Command("bench").description(
  "measure programs plain and under zIO, interleaved, with raw samples",
);

for (const workload of workloads) {
  workload
    .configure(command.command(workload.name).description(workload.summary))
    .option("--json <file>", "write the record with its raw samples; - for standard output")
    .option("--plot <file>", "plot it, as .svg or .html")
    .option("--check", "end with status 1 when a target is not met")
    .action(({ json, plot, check, ...options }: OutputOptions & Record<string, unknown>) =>
      orComplain(async (progress) => {
        if (options.role === "server") return serve(String(options.listen));
        const tools = { progress, command: typedCommand(workload.name) };
        const record = await run(workload.name as WorkloadName, options, tools);
        if (json !== undefined) writeJson(record, json);
        say(workload.report(record), { json });
        if (plot !== undefined) await writePlot([record], plot);
        if (check && record.targets.some(({ met }) => !met)) process.exitCode = 1;
      }),
    );
}

function addSet(name: string, summary: string, minutes: number, runs: () => ReturnType<typeof overviewRuns>): void {
  command
    .command(name)
    .description(summary)
    .option("--minutes <n>", "about as long as it may take", wholeOption, minutes)
    .option("--pairs <n>", "interleaved pairs of samples at most, where there is time for them", wholeOption)
    .option("--policy <policy>", `policy of zIO: ${policies.join(", ")}`, oneOfOption(policies), setDefaults.policy)
    .option("--with-paper", "zIO under the published rule as a further contender", setDefaults.withPaper)
    .option("--json <file>", "write the records with their raw samples; - for standard output")
    .option("--plot <file>", "plot them, as .html")
    .action(({ json, plot, ...options }: OutputOptions & SetOptions) =>
      orComplain(async (progress) => {
        const set: RunSet = await runSet(runs(), options, progress, typedCommand(name));
        if (json !== undefined) writeJson(set, json);
        say(setReport(set), { json });
        if (plot !== undefined) await writePlot(set.records, plot);
        if (set.failed.length > 0) process.exitCode = 1;
      }),
    );
}

addSet("all", "every workload in a form that has little time", setDefaults.minutes, overviewRuns);
addSet("paper", "the paper's experiments", 60, paperRuns);

command
  .command("record <directory>")
  .description("every workload at its full parameters and the paper's experiments, a record of each into the directory")
  .option("--minutes <n>", "about as long as it may take", wholeOption, 40)
  .option("--pairs <n>", "interleaved pairs of samples at most, where there is time for them", wholeOption)
  .option("--policy <policy>", `policy of zIO: ${policies.join(", ")}`, oneOfOption(policies), setDefaults.policy)
  .action((directory: string, options: Omit<SetOptions, "withPaper">) =>
    orComplain(async (progress) => {
      const all = { ...options, withPaper: false };
      const set = await recordInto(directory, all, progress, typedCommand("record"));
      process.stdout.write(`${setReport(set)}\n`);
      if (set.failed.length > 0) process.exitCode = 1;
    }),
  );

command
  .command("compare <before> <after>")
  .description("compare two records by their scores; status 1 when a row got worse than noise explains")
  .action((before: string, after: string) =>
    orComplain(async () => {
      const compared = compareRecords(readRecords(before), readRecords(after));
      process.stdout.write(`${comparedReport(compared)}\n`);
      if (compared.rows.some(({ verdict }) => verdict === "worse") || compared.lostTargets.length > 0)
        process.exitCode = 1;
    }),
  );

const pages = { benchmarks: benchmarksPage, paper: paperPage };

command
  .command("page <name> [records...]")
  .description("write docs/benchmarks.md or docs/paper.md (benchmarks, paper) from records")
  .option("--output <file>", "where to; standard output unless told")
  .action((name: string, files: string[], { output }: { output?: string }) =>
    orComplain(async () => {
      const page = pages[name as keyof typeof pages];
      if (!page)
        throw new BenchError("bad-option", `no page is called ${name}; there are ${Object.keys(pages).join(", ")}`);
      const text = page(files.flatMap(readRecords));
      if (output === undefined) process.stdout.write(text);
      else writeFileSync(output, text);
    }),
  );
