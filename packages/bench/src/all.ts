// `zio bench all`: every workload with fewer cells, within a time. Each gets its part of what is left, so that one that
// ends early leaves its rest to the others; pairs are what is saved, never their order.
import { BenchError } from "./bench-error.js";
import type { Policy } from "./contender.js";
import type { RecordSet } from "./output.js";
import type { Progress } from "./progress.js";
import type { BenchRecord } from "./record.js";
import { workloadNamed, workloads } from "./run.js";

/** One run of a workload within a set. */
export interface PlannedRun {
  workload: string;
  options: Record<string, unknown>;
  /** Of the paper, which the record is to name. */
  experiment?: string;
  /** Its part of the time, beside those of the others; 1 unless told. */
  weight?: number;
}

export interface SetOptions {
  minutes: number;
  policy: Policy;
  withPaper: boolean;
  pairs?: number | undefined;
}

export const setDefaults: SetOptions = { minutes: 15, policy: "learn", withPaper: false };

/** Every workload in the form that has little time. */
export function overviewRuns(): PlannedRun[] {
  return workloads.map(({ name, overview }) => ({ workload: name, options: overview as Record<string, unknown> }));
}

/** What to type for one run alone. */
export function commandOf({ workload, options }: PlannedRun): string[] {
  const words = Object.entries(options).flatMap(([name, value]) => {
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [option] : [option, Array.isArray(value) ? value.join(",") : String(value)];
  });
  return ["zio", "bench", workload, ...words];
}

export interface RunSet extends RecordSet {
  /** What went wrong, apart from what is not installed here. */
  failed: { what: string; reason: string }[];
}

export async function runSet(
  planned: readonly PlannedRun[],
  options: SetOptions,
  progress: Progress,
  command: string[],
  onRecord: (record: BenchRecord, run: PlannedRun) => void = () => {},
): Promise<RunSet> {
  const deadline = performance.now() + options.minutes * 60_000;
  const { policy, withPaper, pairs } = options;
  const set: RunSet = { version: 1, command, records: [], skipped: [], failed: [] };
  for (const [index, run] of planned.entries()) {
    const weights = planned.slice(index).map(({ weight = 1 }) => weight);
    const part = weights[0]! / weights.reduce((sum, weight) => sum + weight, 0);
    const budgetSeconds = (Math.max(0, deadline - performance.now()) / 1000) * part;
    const workload = workloadNamed(run.workload);
    const step = (text: string) => progress.step(`${run.workload}: ${text}`);
    const chosen = { policy, withPaper, ...run.options, ...(pairs !== undefined && { pairs }), budgetSeconds };
    try {
      const all = { ...workload.defaults, ...chosen };
      const taken: BenchRecord = await workload.run(all, { step, end: () => progress.end() }, commandOf(run));
      const record = run.experiment === undefined ? taken : { ...taken, experiment: run.experiment };
      set.records.push(record);
      onRecord(record, run);
    } catch (error) {
      if (!(error instanceof BenchError)) throw error;
      const list = error.code === "missing-program" ? set.skipped : set.failed;
      list.push({ what: run.workload, reason: error.message });
    }
  }
  return set;
}

/** A line for each record: how many targets were met, and the extremes of its score. */
export function setReport({ records, skipped, failed }: RunSet): string {
  const reports = records.map((record) => workloadNamed(record.workload).report(record));
  const left = [
    ...skipped.map(({ what, reason }) => `skipped  ${what}: ${reason}`),
    ...failed.map(({ what, reason }) => `failed   ${what}: ${reason}`),
  ];
  const targets = records.flatMap((record) => record.targets);
  const met = `${targets.filter(({ met }) => met).length} of ${targets.length} targets met`;
  return [...reports, [...left, met].join("\n")].join("\n\n");
}
