// `zio bench compare`: two records of the same workloads, by their scores. Each was formed against plain in its own run, so
// records of different days and machines can be held against each other; microseconds could not.
import type { FigureRow } from "./figure.js";
import type { BenchRecord } from "./record.js";
import { workloadNamed } from "./run.js";
import type { Estimate } from "./statistics.js";
import { renderTable, withInterval } from "./table.js";

export type Verdict = "worse" | "better" | "same";

export interface ComparedRow {
  workload: string;
  name: string;
  score: string;
  before: Estimate;
  after: Estimate;
  verdict: Verdict;
}

export interface ComparedRecords {
  rows: ComparedRow[];
  /** Targets that were met before and are missed now. */
  lostTargets: string[];
  /** Rows that only one of the two has. */
  unmatched: string[];
}

/** Only intervals that do not overlap tell more than noise does. */
export function verdictOf(before: Estimate, after: Estimate, higherIsBetter: boolean): Verdict {
  if (after.low <= before.high && before.low <= after.high) return "same";
  return after.median > before.median === higherIsBetter ? "better" : "worse";
}

function scoresOf(records: readonly BenchRecord[]) {
  const scores = new Map<string, { record: BenchRecord; row: FigureRow; score: string; higherIsBetter: boolean }>();
  for (const record of records) {
    const { rows, score, higherIsBetter } = workloadNamed(record.workload).figure(record);
    for (const row of rows)
      if (row.score) scores.set(`${record.workload}: ${row.name}`, { record, row, score, higherIsBetter });
  }
  return scores;
}

export function compareRecords(before: readonly BenchRecord[], after: readonly BenchRecord[]): ComparedRecords {
  const [old, recent] = [scoresOf(before), scoresOf(after)];
  const rows: ComparedRow[] = [];
  for (const [key, { record, row, score, higherIsBetter }] of recent) {
    const was = old.get(key)?.row.score;
    const is = row.score;
    if (!was || !is) continue;
    const verdict = verdictOf(was, is, higherIsBetter);
    rows.push({ workload: record.workload, name: row.name, score, before: was, after: is, verdict });
  }
  const keys = [...new Set([...old.keys(), ...recent.keys()])];
  const missed = new Set(after.flatMap(({ targets }) => targets.filter(({ met }) => !met).map(({ what }) => what)));
  const lost = before.flatMap(({ targets }) => targets.filter(({ met, what }) => met && missed.has(what)));
  return {
    rows,
    lostTargets: lost.map(({ what }) => what),
    unmatched: keys.filter((key) => !old.has(key) || !recent.has(key)),
  };
}

export function comparedReport({ rows, lostTargets, unmatched }: ComparedRecords): string {
  const table = renderTable(
    ["", "workload", "row", "score", "before (95 %)", "after (95 %)"],
    rows.map(({ verdict, workload, name, score, before, after }) => [
      verdict,
      workload,
      name,
      score,
      withInterval(before, 1, 3, ""),
      withInterval(after, 1, 3, ""),
    ]),
  );
  return [
    table,
    "",
    ...lostTargets.map((what) => `no longer met: ${what}`),
    ...unmatched.map((key) => `only in one of the two: ${key}`),
  ].join("\n");
}
