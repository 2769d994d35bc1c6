// What the counters must show for a comparison to prove anything: that input was redirected and copies were elided.
import type { StatsDirectory } from "../../src/read-stats.js";

/** What the counters must reach, in bytes; true asks for more than nothing of input and copies, false for nothing. */
export type ExpectedElision = boolean | { redirected?: number; elided?: number; translated?: number };

/**
 * `learn` with costs by which nothing costs anything, so that it leaves no site alone: a case that goes on for long under
 * `learn` as shipped may touch more than pays, and proves with these that it elides what it should.
 */
export const freeCosts = "copy=0,copy-large=0,elide=0,input=0,overwrite=0,fault=0,page=0";

/** Why a case does not elide enough under `learn`, even where elision is free. */
export interface UnderLearn {
  elides: "not enough" | "perhaps";
  because: string;
}
export const tooSmall: UnderLearn = { elides: "not enough", because: "its messages or copies are below 64 KiB" };
export const byChance: UnderLearn = { elides: "perhaps", because: "what is 64 KiB or more is up to chance" };

export function nonZero({ totals }: StatsDirectory): string {
  return Object.entries(totals)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

/** A line for each counter that falls short. */
export function missingElision(expected: ExpectedElision | undefined, stats: StatsDirectory): string[] {
  if (expected === false) return [];
  const wanted = typeof expected === "object" ? expected : {};
  const shortfalls = [
    ["redirectedBytes", wanted.redirected ?? 1],
    ["elidedBytes", wanted.elided ?? 1],
    ["translatedBytes", wanted.translated ?? 0],
  ] as const;
  const state =
    stats.processes.map(({ command, state: text }) => `${command}: ${text}`).join(", ") || "no counters page";
  return shortfalls
    .filter(([name, least]) => (stats.totals[name] ?? 0) < least)
    .map(
      ([name, least]) =>
        `${name} is ${stats.totals[name] ?? 0}, expected at least ${least} (${state}); ${nonZero(stats)}`,
    );
}

/** What is wrong when these counters fell short, or did not, under `learn` where elision is free. */
export function learningProblems(known: UnderLearn | undefined, missing: string[]): string[] {
  if (known === undefined) return missing;
  const enough = missing.length === 0 && known.elides === "not enough";
  return enough ? [`elides enough, though it is said not to (${known.because})`] : [];
}
