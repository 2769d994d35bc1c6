// docs/compatibility.json: the last result of each program, with what is needed to judge it. No paths and no host names.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { RunCounters } from "./counters.js";

export interface Row {
  name: string;
  title: string;
  version: string;
  what: string;
  result: "same" | "differs" | "fails plain";
  checks: number;
  baseline: string[];
  /** Checks that passed only when they were run again. */
  repeated: { plain: string[]; zio: string[] };
  differences: string[];
  counters: RunCounters;
  /** Why nothing was elided, where that is so by nature. */
  elidesNothingBecause?: string;
  settings: Record<string, string>;
  seconds: { plain: number; zio: number };
  date: string;
  commit: string;
  machine: { cpuModel: string; cores: number; kernel: string; distribution: string };
}

export interface CompatibilityRecord {
  version: 1;
  rows: Row[];
}

export function readRecord(file: string): CompatibilityRecord {
  if (!existsSync(file)) return { version: 1, rows: [] };
  const record = JSON.parse(readFileSync(file, "utf8")) as CompatibilityRecord;
  if (record.version !== 1) throw new Error(`${file} is no version 1 record`);
  return record;
}

/** The record with a program's row put in, or put in place of its last. */
export function withRow(record: CompatibilityRecord, row: Row): CompatibilityRecord {
  const rows = [...record.rows.filter(({ name }) => name !== row.name), row];
  return { version: 1, rows: rows.sort((left, right) => (left.name < right.name ? -1 : 1)) };
}

export function writeRecord(file: string, record: CompatibilityRecord): void {
  writeFileSync(file, `${JSON.stringify(record, null, 1)}\n`);
}
