// Who takes part in a comparison: the same program in different environments.
import { mkdtempSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { benchProgramPath, costsFor, environment, preloadablePath } from "@zio/interpose";
import { BenchError } from "./bench-error.js";

export const policies = ["always", "learn", "off", "paper"] as const;
export type Policy = (typeof policies)[number];

export interface Contender {
  name: string;
  /** Of zIO; undefined where it takes no part. */
  policy?: Policy;
  /** Added to an environment from which LD_PRELOAD and the variables of zIO have been removed. */
  environment: Readonly<Record<string, string>>;
  /** Whether it keeps counters, in the directory that ZIO_STATS names. */
  counts: boolean;
  /** Does not do the work, but shows what is best possible: its data cannot be verified. */
  isBound?: boolean;
}

export const plain: Contender = { name: "plain", environment: {}, counts: false };

export function zioContender(policy: Policy, name = "zio"): Contender {
  return { name, policy, environment: environment({ base: {}, policy, costs: costsFor({ policy }) }), counts: true };
}

/** Plain, zIO, and where wished zIO under the published rule. */
export function usualContenders({ policy, withPaper }: { policy: Policy; withPaper: boolean }): Contender[] {
  return [plain, zioContender(policy), ...(withPaper ? [zioContender("paper", "paper")] : [])];
}

/** What no log of writes can beat: writes to files of that suffix are free, or copied once by a thread meanwhile. */
export function boundContenders(suffix: string): Contender[] {
  const library = preloadablePath(programPath("libzio-bounds.so"));
  return (["free", "copied"] as const).map((name) => ({
    name,
    environment: { LD_PRELOAD: library, ZIO_BOUND: name, ZIO_BOUND_FILES: suffix },
    counts: false,
    isBound: true,
  }));
}

/** A private directory; in memory where possible, because a counters page on a disk faults when it is written back. */
export async function privateDirectory(prefix: string): Promise<string> {
  const inMemory = "/dev/shm";
  const usable = await access(inMemory, constants.W_OK).then(
    () => true,
    () => false,
  );
  return mkdtempSync(join(usable ? inMemory : tmpdir(), prefix));
}

/** The environment of a program of this contender. */
export function contenderEnvironment(contender: Contender, statsDirectory?: string): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  return {
    ...Object.fromEntries(inherited),
    ...contender.environment,
    ...(statsDirectory === undefined ? {} : { ZIO_STATS: statsDirectory }),
  };
}

/** The path of a program that comes with the project. */
export function programPath(name: Parameters<typeof benchProgramPath>[0]): string {
  const path = benchProgramPath(name);
  if (path === undefined)
    throw new BenchError("not-built", `${name} is not built: run \`npm run setup\` in the checkout`);
  return path;
}
