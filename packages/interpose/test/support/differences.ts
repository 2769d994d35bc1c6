// Says where two runs differ: the first line of their output, or, from the memory that victims dump on request
// (VICTIM_DUMP, see victims/victim.h), the byte ranges.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Outcome } from "./run-victim.js";

const shownCharacters = 160;
const shownRanges = 4;
const shownBytes = 8;
const pageBytes = 4096;

/** The first line in which two outputs differ, both versions of it cut to the part around the difference. */
export function firstDifference(plain: Buffer, zio: Buffer): string {
  const left = plain.toString("latin1").split("\n");
  const right = zio.toString("latin1").split("\n");
  const line = left.findIndex((text, index) => text !== right[index]);
  const at = line < 0 ? left.length : line;
  const [one, two] = [left[at] ?? "(nothing)", right[at] ?? "(nothing)"];
  let column = 0;
  while (column < one.length && one[column] === two[column]) column++;
  const from = Math.max(0, column - shownCharacters / 2);
  const label = one.slice(0, one.indexOf(":") + 1);
  const cut = (text: string) => `${from > 0 ? `${label} ...` : ""}${text.slice(from, from + shownCharacters)}`;
  return `line ${at + 1}, column ${column + 1}\n    plain: ${cut(one)}\n    zio:   ${cut(two)}`;
}

interface Range {
  start: number;
  end: number;
}

/** The ranges in which two byte strings differ; equal runs of less than 16 bytes do not end a range. */
export function differingRanges(left: Uint8Array, right: Uint8Array): Range[] {
  const ranges: Range[] = [];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    if (left[index] === right[index]) continue;
    const last = ranges.at(-1);
    if (last && index - last.end < 16) last.end = index + 1;
    else ranges.push({ start: index, end: index + 1 });
  }
  return ranges;
}

function describeRange({ start, end }: Range, plain: Buffer, zio: Buffer): string {
  const page = Math.floor(start / pageBytes);
  const bytes = (from: Buffer) => from.subarray(start, Math.min(end, start + shownBytes)).toString("hex") || "(none)";
  return `bytes ${start}..${end - 1} (page ${page} + ${start % pageBytes}): plain ${bytes(plain)} zio ${bytes(zio)}`;
}

/**
 * Compares two directories of dumps, file by file in the order of their names; undefined where the plain run dumped
 * nothing, as victims do that compare with a model of their own.
 */
export function explainDumps(plainDirectory: string, zioDirectory: string): string | undefined {
  if (readdirSync(plainDirectory).length === 0) return undefined;
  for (const name of readdirSync(plainDirectory).sort()) {
    const path = join(zioDirectory, name);
    if (!existsSync(path)) return `repeated with dumps: zio never came to ${name}`;
    const [plain, zio] = [readFileSync(join(plainDirectory, name)), readFileSync(path)];
    const ranges = differingRanges(plain, zio);
    if (ranges.length === 0) continue;
    const shown = ranges.slice(0, shownRanges).map((range) => describeRange(range, plain, zio));
    const more = ranges.length > shownRanges ? `, and ${ranges.length - shownRanges} more ranges` : "";
    return `repeated with dumps: ${name} (${plain.length} bytes) differs in ${shown.join("; ")}${more}`;
  }
  return "repeated with dumps: no dumped memory differed";
}

function ending({ status, signal }: Outcome): string {
  return signal ? `killed by ${signal}` : `exit status ${status}`;
}

/** A line for each thing that an observer could tell two runs by. */
export function disagreements(plain: Outcome, zio: Outcome): string[] {
  if (zio.hang !== undefined) return [`hang, killed; its threads:\n${zio.hang}`];
  const found: string[] = [];
  if (ending(plain) !== ending(zio)) found.push(`plain: ${ending(plain)}; zio: ${ending(zio)}`);
  for (const stream of ["stdout", "stderr"] as const)
    if (!plain[stream].equals(zio[stream])) found.push(`${stream}: ${firstDifference(plain[stream], zio[stream])}`);
  return found;
}
