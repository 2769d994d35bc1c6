// What becomes of records: JSON, plots, the report. And reading them again.
import { readFileSync, writeFileSync } from "node:fs";
import { BenchError } from "./bench-error.js";
import { htmlPage } from "./html-page.js";
import { plotSvg } from "./plot.js";
import type { BenchRecord } from "./record.js";
import { workloadNamed } from "./run.js";

/** Several records of one run of `zio bench all` or `zio bench paper`. */
export interface RecordSet {
  version: 1;
  command: string[];
  records: BenchRecord[];
  /** Workloads that could not be run here, with the reason. */
  skipped: { what: string; reason: string }[];
}

/** JSON with a line for each sample, of which there are many. */
export function recordJson(value: BenchRecord | RecordSet): string {
  const marked = JSON.stringify(
    value,
    (key, part) => (key === "samples" ? part.map((sample: unknown) => `@sample@${JSON.stringify(sample)}`) : part),
    1,
  );
  const samples = /"@sample@((?:[^"\\]|\\.)*)"/g;
  return `${marked.replace(samples, (_, text: string) => JSON.parse(`"${text}"`))}\n`;
}

/** Writes as JSON; `-` is standard output. */
export function writeJson(value: BenchRecord | RecordSet, file: string): void {
  const json = recordJson(value);
  if (file === "-") process.stdout.write(json);
  else writeFileSync(file, json);
}

/** The end of the name says what: an SVG of one record, or a page of any number. */
export async function writePlot(records: readonly BenchRecord[], file: string): Promise<void> {
  if (file.endsWith(".html")) return writeFileSync(file, await htmlPage(records));
  const [record, ...others] = records;
  if (!file.endsWith(".svg") || !record || others.length > 0)
    throw new BenchError("bad-option", "--plot takes a name that ends in .html, or for one workload in .svg");
  writeFileSync(file, await plotSvg(workloadNamed(record.workload).figure(record)));
}

/** The records in a file that `--json` wrote. */
export function readRecords(file: string): BenchRecord[] {
  let value: BenchRecord | RecordSet;
  try {
    value = JSON.parse(readFileSync(file, "utf8")) as BenchRecord | RecordSet;
  } catch (error) {
    throw new BenchError("bad-option", `${file}: ${(error as Error).message}`, { cause: error });
  }
  const records = "records" in value ? value.records : [value];
  if (value.version !== 1 || !records.every((record) => Array.isArray(record?.rows)))
    throw new BenchError("bad-option", `${file} is no record of zio bench that this version reads`);
  return records;
}
