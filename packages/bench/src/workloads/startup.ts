// `startup`: what zIO adds to a program that does nothing with it: /bin/true, and a shell that starts it twenty times. No
// thread may be started for such programs.
import { type Command, Option } from "commander";
import { BenchError } from "../bench-error.js";
import { type CommonOptions, commonDefaults, configureCommon, describeRun, targetLines } from "../common-options.js";
import { type Contender, contenderEnvironment, programPath, usualContenders } from "../contender.js";
import { scaledAll } from "../figure.js";
import { type CpuPair, chooseCpus } from "../machine.js";
import { wholeOption } from "../option-parsers.js";
import { type SampleRun, sampleRun } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, portableEnvironment, type RecordedCell, recordHead, target } from "../record.js";
import { type Estimate, estimateMedian, type Spread, spread } from "../statistics.js";
import { micros, renderTable, withInterval } from "../table.js";
import { byPair, measureInterleaved, pairsTaken, type Workload } from "../workload.js";

const loops = 20;
const programs = [
  { name: "/bin/true", processes: 1, command: ["/bin/true"] },
  {
    name: `a shell that starts /bin/true ${loops} times`,
    processes: loops + 1,
    command: ["/bin/sh", "-c", `i=0; while [ $i -lt ${loops} ]; do /bin/true; i=$((i+1)); done`],
  },
] as const;
type StartedProgram = (typeof programs)[number];

export interface StartupOptions extends CommonOptions {
  /** Runs of the program in one sample. */
  runs: number;
}

export interface StartupSample {
  /** What zio-spawn-timer prints: of one run, from its start to its end. */
  medianNs: number;
  p90Ns: number;
  runs: number;
  wallNs: number;
  cpuNs: number;
  counters: Record<string, number> | null;
}

export interface StartupRow {
  name: string;
  /** Time that each process takes longer. */
  addedNs: Estimate;
  plainNs: Spread;
  zioNs: Spread;
}

export type StartupRecord = BenchRecord<StartupSettings, StartupSample, StartupRow>;
export interface StartupSettings {
  program: string;
  processes: number;
  command: readonly string[];
}

const defaults: StartupOptions = { ...commonDefaults, runs: 100 };

function configure(command: Command): Command {
  command.addOption(
    new Option("--runs <n>", "runs of a program in one sample").argParser(wholeOption).default(defaults.runs),
  );
  return configureCommon(command, defaults);
}

/** The environment that the timer gives to what it starts: what the contender's differs in. */
function variables(contender: Contender, run: SampleRun): string[] {
  const environment = contenderEnvironment(contender, run.statsDirectory);
  return Object.entries(environment)
    .filter(([name]) => name === "LD_PRELOAD" || name.startsWith("ZIO_"))
    .map(([name, value]) => `${name}=${value}`);
}

function startupSample(
  contender: Contender,
  { command }: StartupSettings,
  runs: number,
  cpus: CpuPair | undefined,
): Promise<StartupSample> {
  return sampleRun(contender, 60_000, async (run) => {
    const timer = [runs, Math.ceil(runs / 10), cpus?.server ?? -1, ...variables(contender, run), "--", ...command];
    const report = await run.startClient(programPath("zio-spawn-timer"), timer).report<StartupSample>();
    return { ...report, counters: run.counters() };
  });
}

const countThreads = 'while read -r line; do case "$line" in Threads:*) echo "$line";; esac; done < /proc/$$/status';

/** A shell under zIO must have the threads that it has plain: one. */
async function verifyThreads(contender: Contender): Promise<void> {
  await sampleRun(contender, 10_000, async (run) => {
    const shell = run.startServer("/bin/sh", ["-c", countThreads]);
    const line = await shell.firstLine;
    if (!/^Threads:\s+1$/.test(line)) throw new BenchError("wrong-data", `${contender.name}: ${line}, not 1`);
    await shell.ended;
    run.counters();
  });
}

const milliseconds = ({ median, low, high }: Estimate): Estimate => ({
  median: median / 1e6,
  low: low / 1e6,
  high: high / 1e6,
});

function rowOf(cell: RecordedCell<StartupSettings, StartupSample>): StartupRow {
  const { program, processes } = cell.parameters;
  const [plainNs, zioNs] = ["plain", "zio"].map((name) => byPair(cell, name).map(({ medianNs }) => medianNs));
  const added = plainNs!.map((ns, pair) => (zioNs![pair]! - ns) / processes);
  return { name: program, addedNs: estimateMedian(added), plainNs: spread(plainNs!), zioNs: spread(zioNs!) };
}

async function run(options: StartupOptions, progress: Progress, command: string[]): Promise<StartupRecord> {
  const cpus = options.cpus ?? chooseCpus();
  const head = recordHead("startup", command, cpus);
  const started = performance.now();
  const contenders = usualContenders(options);
  const runsOf = ({ processes }: StartupSettings) => Math.max(1, Math.round(options.runs / processes));
  const cells = await measureInterleaved<StartupSettings, StartupSample>({
    cells: programs.map(({ name, processes, command: words }: StartedProgram) => ({
      name,
      parameters: { program: name, processes, command: words },
    })),
    contenders,
    pairs: options.pairs,
    budgetSeconds: options.budgetSeconds,
    verify: verifyThreads,
    sample: (contender, settings) => startupSample(contender, settings, runsOf(settings), cpus),
    progress,
  });
  const rows = cells.map(rowOf);
  const targets = rows.map(({ name, addedNs }) =>
    target(`milliseconds added to each process of ${name}`, "at-most", 1, milliseconds(addedNs)),
  );
  return {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options, pairs: pairsTaken(cells) },
    contenders: contenders.map(({ name, environment }) => ({ name, environment: portableEnvironment(environment) })),
    cells,
    rows,
    targets,
  };
}

function report(record: BenchRecord): string {
  const rows = (record.rows as StartupRow[]).map(({ name, addedNs, plainNs, zioNs }) => [
    name,
    withInterval(addedNs, 1e-3, 0, ""),
    micros(plainNs),
    micros(zioNs),
  ]);
  const headings = ["program", "added us a process (95 %)", "plain us (IQR)", "zIO us (IQR)"];
  const title = `start to end of programs that zIO has nothing to do for, policy ${record.options.policy}:`;
  return [title, describeRun(record), "", renderTable(headings, rows), "", ...targetLines(record)].join("\n");
}

export const startup: Workload<StartupOptions> = {
  name: "startup",
  summary: "what zIO adds to the start of /bin/true and of a shell's commands",
  defaults,
  overview: {},
  configure,
  run,
  report,
  figure: (record) => ({
    title: "start to end of programs that zIO has nothing to do for",
    score: "milliseconds added to a process",
    higherIsBetter: false,
    even: 0,
    values: "ms",
    rows: (record.rows as StartupRow[]).map(({ name, addedNs, plainNs, zioNs }) => ({
      name,
      score: milliseconds(addedNs),
      values: scaledAll({ plain: plainNs, zio: zioNs }, 1e-6),
    })),
  }),
};
