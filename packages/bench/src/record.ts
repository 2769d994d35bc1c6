// The record of a run: everything that is needed to judge the numbers and to get them again. Its JSON is versioned.
import { execFileSync } from "node:child_process";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { type CpuPair, type MachineFacts, machineFacts } from "./machine.js";
import type { Estimate } from "./statistics.js";
import { withInterval } from "./table.js";
import { packageVersion } from "./version.js";

export interface Commit {
  id: string;
  /** Whether tracked files differed from it. */
  modified: boolean;
}

export interface RawSample<Values> {
  pair: number;
  position: number;
  contender: string;
  /** Since the start of the run. */
  startedMs: number;
  values: Values;
}

export interface RecordedCell<Parameters, Values> {
  name: string;
  parameters: Parameters;
  /** Contenders whose data were compared byte by byte, apart from the timing. */
  verified: string[];
  samples: RawSample<Values>[];
}

/** A number that the workload is to reach. */
export interface Target {
  what: string;
  /** "at-least" or "at-most" `bound`. */
  relation: "at-least" | "at-most";
  bound: number;
  measured: Estimate;
  met: boolean;
  /** What is best possible on this machine, where the same run measured that. */
  limit?: { what: string; measured: Estimate } | undefined;
}

export interface BenchRecord<Parameters = unknown, Values = unknown, Row = unknown> {
  version: 1;
  workload: string;
  /** Of the paper, where `zio bench paper` took it. */
  experiment?: string;
  /** What to type to get it again. */
  command: string[];
  startedAt: string;
  seconds: number;
  commit: Commit | null;
  packageVersion: string;
  machine: MachineFacts;
  /** The other host, where the server ran on one. */
  serverMachine?: MachineFacts;
  cpus: CpuPair | null;
  options: Record<string, unknown>;
  contenders: { name: string; environment: Record<string, string> }[];
  cells: RecordedCell<Parameters, Values>[];
  rows: Row[];
  targets: Target[];
  /** Parts that could not be run here, with the reason. */
  skipped?: { what: string; reason: string }[];
}

/** Text is no part of what is measured, and `zio bench record` writes some. */
const programPaths = [":(top)", ":(top,exclude)docs", ":(top,exclude)*.md"];

/** The commit of the checkout that the package of `directory` lies in; null where it came from a registry. */
export function currentCommit(directory = dirname(fileURLToPath(import.meta.url))): Commit | null {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", directory, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    // A package in somebody else's node_modules lies in somebody else's repository.
    git("ls-files", "--error-unmatch", "../package.json");
    const changes = git("status", "--porcelain", "--untracked-files=no", "--", ...programPaths);
    return { id: git("rev-parse", "HEAD"), modified: changes !== "" };
  } catch {
    return null;
  }
}

/** The part of a record that does not depend on the workload. */
export function recordHead(workload: string, command: string[], cpus: CpuPair | undefined) {
  return {
    version: 1 as const,
    workload,
    command,
    startedAt: new Date().toISOString(),
    commit: currentCommit(),
    packageVersion,
    machine: machineFacts(),
    cpus: cpus ?? null,
  };
}

/** An environment without the places of this machine: a library is named by its file name. */
export function portableEnvironment(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, value.startsWith("/") ? basename(value) : value]),
  );
}

export function target(
  what: string,
  relation: Target["relation"],
  bound: number,
  measured: Estimate,
  limit?: Target["limit"],
): Target {
  const met = relation === "at-least" ? measured.median >= bound : measured.median <= bound;
  return { what, relation, bound, measured, met, ...(limit && { limit }) };
}

/** A target as words: what, how much of it, and what came out. */
export function describeTarget({ what, relation, bound, measured, limit }: Target, relations: Relations): string {
  const best = limit ? ` (${limit.what}: ${withInterval(limit.measured, 1, 3, "")})` : "";
  return `${what}${relations[relation]} ${bound}: ${withInterval(measured, 1, 3, "")}${best}`;
}

/** The words for "at-least" and "at-most". */
export type Relations = Record<Target["relation"], string>;
