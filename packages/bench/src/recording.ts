// `zio bench record`: every workload at its full parameters and the paper's experiments, each into a file of its own as
// soon as it is there. What docs/benchmarks.md and docs/paper.md are made from.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type PlannedRun, type RunSet, runSet, type SetOptions } from "./all.js";
import { writeJson } from "./output.js";
import { paperRuns } from "./paper-experiments.js";
import type { Progress } from "./progress.js";
import type { BenchRecord } from "./record.js";
import { workloadNamed, workloads } from "./run.js";

/** About how long 15 pairs of a workload take at its full parameters, in seconds, as shares of what time there is. */
const weights: Record<string, number> = {
  copies: 80,
  sizes: 120,
  threads: 60,
  faults: 80,
  touched: 240,
  small: 150,
  redis: 330,
  aof: 500,
  recovery: 150,
  memory: 60,
  startup: 15,
  apis: 40,
  python: 20,
  node: 20,
  grpc: 25,
  primitives: 20,
};
const usualWeight = 60;

/** The published rule beside ours where the paper has the experiment too; what no log can beat beside what ours does. */
const further: Record<string, PlannedRun["options"]> = {
  copies: { withPaper: true },
  faults: { withPaper: true },
  aof: { withBounds: true },
};

const settled = ({ workload, options }: PlannedRun) =>
  JSON.stringify({ workload, ...workloadNamed(workload).defaults, ...options }, (_, value) =>
    value && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
      : value,
  );

export interface Recording {
  runs: PlannedRun[];
  /** Experiments of the paper by the run, in the words of `settled`, that has their numbers too. */
  shared: Map<string, string>;
}

/** An experiment that is a workload at its full parameters is not run twice. */
export function planRecording(): Recording {
  const own = workloads.map(
    ({ name }): PlannedRun => ({
      workload: name,
      options: further[name] ?? {},
      weight: weights[name] ?? usualWeight,
    }),
  );
  const known = new Set(own.map(settled));
  const experiments = paperRuns();
  const shared = experiments.filter((run) => known.has(settled(run)));
  const alone = experiments.filter((run) => !known.has(settled(run)));
  return {
    runs: [...own, ...alone.map((run) => ({ ...run, weight: usualWeight }))],
    shared: new Map(shared.map((run) => [settled(run), run.experiment!])),
  };
}

/** Runs all of it; `directory` gets NAME.json of each workload, and paper.json. */
export async function recordInto(
  directory: string,
  options: SetOptions,
  progress: Progress,
  command: string[],
  { runs, shared } = planRecording(),
): Promise<RunSet> {
  const paper: BenchRecord[] = [];
  mkdirSync(directory, { recursive: true });
  return runSet(runs, options, progress, command, (record, run) => {
    const experiment = run.experiment ?? shared.get(settled(run));
    if (run.experiment === undefined) writeJson(record, join(directory, `${run.workload}.json`));
    if (experiment === undefined) return;
    paper.push({ ...record, experiment });
    writeJson({ version: 1, command, records: paper, skipped: [] }, join(directory, "paper.json"));
  });
}
