import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { native } from "./load-native.js";
import type { FileReport, NativeProblem, PoolStats, Recovery } from "./native-types.js";
import { describeProblem, type PoolProblemKind, unwrap } from "./pool-error.js";

/** What is in a pool that nobody has open. */
export interface PoolReport {
  stats: PoolStats;
  /** What opening it would find. */
  recovery: Recovery;
  /** Where and why the log cannot be trusted any further; what is good before it is counted below. */
  damage?: { kind: PoolProblemKind; message: string; offset: number };
  records: number;
  bytes: number;
  files: FileReport[];
}

function damageOf(problem: NativeProblem): NonNullable<PoolReport["damage"]> {
  return { kind: problem.kind as PoolProblemKind, message: describeProblem(problem), offset: problem.offset };
}

async function look(path: string, directory: string): Promise<PoolReport> {
  const { stats, recovery, goodRecords, goodBytes, damage, files } = await unwrap(native().inspect(path, directory));
  const report: PoolReport = { stats, recovery, records: goodRecords, bytes: goodBytes, files };
  if (damage) report.damage = damageOf(damage);
  return report;
}

/** Reads a pool, verifies its log, and changes nothing. Throws where not even its own structures can be read. */
export function inspectPool(path: string): Promise<PoolReport> {
  return look(path, "");
}

/**
 * Writes what is provably good of the log into a new directory: a file for each file, with its logged bytes at their
 * places and holes between, and `manifest.json`, which says which they are. Neither the pool nor the files are touched.
 */
export async function salvagePool(path: string, directory: string): Promise<PoolReport> {
  await mkdir(directory);
  const report = await look(path, directory);
  await writeFile(
    join(directory, "manifest.json"),
    `${JSON.stringify({ version: 1, pool: path, ...report }, null, 2)}\n`,
  );
  return report;
}
