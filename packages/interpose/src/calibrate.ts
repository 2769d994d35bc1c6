// What zIO's steps cost on this machine: measured once by a program that runs plain and under zIO, and kept in a file of
// the user's cache until the processor, the kernel or zIO changes.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { cpus, homedir, release } from "node:os";
import { dirname, join } from "node:path";
import { ZioError } from "@zio/core";
import { builtFile } from "./built-file.js";
import { configVariable } from "./config.js";
import type { Settings } from "./config-table.js";
import { environment } from "./environment.js";
import { packageVersion } from "./version.js";

export type Cost = keyof NonNullable<Settings["costs"]>;

/** Nanoseconds, by the words of `ZIO_COSTS`. */
export type Costs = Record<Cost, number>;

/** What the library reckons with where it is told nothing. */
export const defaultCosts = Object.fromEntries(
  (configVariable("ZIO_COSTS").values ?? []).map(({ word, number }) => [word, number]),
) as Costs;

const attempts = 5;
const deadlineMs = 5_000;

/** A machine's own numbers are believed within this factor of the defaults: a busy moment must not turn zIO on or off. */
const believable = 2;

function measure(env: NodeJS.ProcessEnv): Map<string, number> {
  const program = builtFile("zio-calibrate");
  if (program === undefined) throw new ZioError("zio-calibrate is not built; run `npm run setup`", { code: "ENOENT" });
  const { status, stdout, stderr, error } = spawnSync(program, { env, encoding: "utf8", timeout: deadlineMs });
  if (status !== 0) {
    throw new ZioError(`the costs could not be measured: ${stderr.trim() || error?.message || "no answer in time"}`, {
      code: "EAGAIN",
    });
  }
  const pairs = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  return new Map(pairs.map(([name = "", nanoseconds]) => [name, Number(nanoseconds)]));
}

/** The least of each: whatever else the machine does can only add. */
function least(runs: readonly Map<string, number>[]): (name: string) => number {
  return (name) => Math.min(...runs.map((run) => run.get(name) ?? Number.POSITIVE_INFINITY));
}

/** The costs behind what the two kinds of runs took. Exported for its test. */
export function costsOf(plain: (name: string) => number, zio: (name: string) => number): Costs {
  const added = (name: string) => Math.max(0, zio(name) - plain(name));
  /** All 128 pages are filled in windows that double: eight faults. */
  const page = Math.max(0, added("touch-all-large") - 8 * added("touch-one-large")) / 120;
  /** A copy in the caches is quick; what it drives out of them is paid for by the steps around it. */
  const copied = (size: string) => Math.max(plain(`copy-${size}`), plain(`copying-${size}`));
  const measured: Costs = {
    copy: copied("small"),
    "copy-large": copied("large") / 8,
    elide: (zio("copy-small") + zio("copy-large")) / 2,
    // Between two runs a large message differs by more than the book-keeping takes.
    input: added("read-small") + added("write-small"),
    overwrite: added("read-again-small"),
    fault: added("touch-one-large") - page,
    page,
  };
  const bounded = (cost: Cost) => {
    const usual = defaultCosts[cost];
    return Math.round(Math.min(usual * believable, Math.max(usual / believable, measured[cost])));
  };
  return Object.fromEntries((Object.keys(defaultCosts) as Cost[]).map((cost) => [cost, bounded(cost)])) as Costs;
}

/** Measures now, for about half a second. Throws a ZioError where that is not possible. */
export function calibrate(): Costs {
  const inherited = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  const base = Object.fromEntries(inherited);
  const under = { ...base, ...environment({ base, policy: "always" }) };
  const [plain, zio]: [Map<string, number>[], Map<string, number>[]] = [[], []];
  for (let attempt = 0; attempt < attempts; attempt++) {
    plain.push(measure(base));
    zio.push(measure(under));
  }
  return costsOf(least(plain), least(zio));
}

/** What the numbers depend on. */
function machineKey(): string {
  return [cpus()[0]?.model ?? process.arch, release(), packageVersion].join("; ");
}

/** How they are measured: with another number they are measured anew. */
const keptVersion = 2;

/** The file of the user that the numbers are kept in. */
export function costsPath(env: NodeJS.ProcessEnv = process.env): string {
  const cache = env.XDG_CACHE_HOME?.startsWith("/") ? env.XDG_CACHE_HOME : join(env.HOME || homedir(), ".cache");
  return join(cache, "zio/costs.json");
}

/** The numbers that are kept for this machine, or undefined. */
export function keptCosts(path = costsPath()): Costs | undefined {
  try {
    const { version, machine, costs } = JSON.parse(readFileSync(path, "utf8"));
    const whole = (Object.keys(defaultCosts) as Cost[]).every((cost) => Number.isSafeInteger(costs[cost]));
    return version === keptVersion && machine === machineKey() && whole ? costs : undefined;
  } catch {
    return undefined;
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Keeps the numbers; throws where the file cannot be written. */
export function keepCosts(costs: Costs, path = costsPath()): void {
  // Not recursive: Node never ends where a directory cannot be made for another reason than its parent, as below /proc.
  for (const directory of [dirname(dirname(path)), dirname(path)]) makeDirectory(directory);
  const scratch = `${path}.${process.pid}`;
  try {
    writeFileSync(scratch, `${JSON.stringify({ version: keptVersion, machine: machineKey(), costs }, null, 2)}\n`);
    renameSync(scratch, path);
  } finally {
    rmSync(scratch, { force: true });
  }
}

/** The numbers of this machine: those that are kept, else measured now and kept; undefined where neither can be had. */
export function costsOfThisMachine(path = costsPath()): Costs | undefined {
  const kept = keptCosts(path);
  if (kept) return kept;
  try {
    const costs = calibrate();
    keepCosts(costs, path);
    return costs;
  } catch {
    return undefined;
  }
}

/**
 * What a program that is about to start is told: nothing where the policy does not reckon, or where the environment has
 * settled it, with an empty variable for the defaults.
 */
export function costsFor({ policy = "learn" }: Settings, env: NodeJS.ProcessEnv = process.env): Costs | undefined {
  return policy === "learn" && env.ZIO_COSTS === undefined ? costsOfThisMachine() : undefined;
}
