// Victims whose files are logged in a pool: run plain and under zIO, each in a directory of its own. What they print, how
// they end and the files that they leave must be the same, and the counters must show that writes went to the pool.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool, providerPath } from "@zio/nvm";
import { readStatsDirectory, type StatsDirectory } from "../../src/read-stats.js";
import { preloadableLibrary } from "./both-ways.js";
import { compileVictim } from "./compile-victim.js";
import { disagreements } from "./differences.js";
import { type Outcome, runVictim } from "./run-victim.js";

export interface LoggedRun {
  victim: string;
  args: readonly string[];
  env?: Record<string, string>;
  /** Where the pool lies; a directory in memory unless told. */
  poolDirectory?: string;
  /** Whether both runs must leave the same files; true unless told. */
  sameFiles?: boolean;
  /** Whether what processes that were killed left in the pool is applied before; true unless told. */
  recovers?: boolean;
}

export interface LoggedResult {
  plain: Outcome;
  zio: Outcome;
  stats: StatsDirectory;
  /** Lines of ZIO_LOG. */
  log: string[];
}

/** The files below a directory, by path, with their bytes in Latin 1. */
export function filesIn(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(paths.sort().map((path) => [path.slice(directory.length), readFileSync(path, "latin1")]));
}

export function poolVariables(pool: string): Record<string, string> {
  return {
    ZIO_NVM: pool,
    ZIO_NVM_FILES: "*.log",
    ZIO_NVM_SIZE: "64M",
    ZIO_NVM_PROVIDER: providerPath(),
  };
}

function baseEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

/** Runs a victim both ways and throws where it can tell the difference. */
export async function loggedBothWays(run: LoggedRun): Promise<LoggedResult> {
  const scratch = mkdtempSync(join(tmpdir(), "zio-logged-"));
  const poolDirectory = mkdtempSync(join(run.poolDirectory ?? "/dev/shm", "zio-logged-"));
  try {
    const program = await compileVictim(run.victim);
    const [plainDirectory, zioDirectory, stats] = ["plain", "zio", "stats"].map((name) => {
      mkdirSync(join(scratch, name));
      return join(scratch, name);
    }) as [string, string, string];
    const log = join(scratch, "log");
    const base = { ...baseEnvironment(), ...run.env };
    const plain = await runVictim(program, run.args, { env: base, cwd: plainDirectory, timeoutMs: 60_000 });
    const pool = join(poolDirectory, "pool");
    const env = {
      ...base,
      ...poolVariables(pool),
      ZIO_POLICY: "always",
      ...run.env,
      ZIO_LOG: log,
      ZIO_STATS: stats,
      LD_PRELOAD: await preloadableLibrary(),
    };
    const zio = await runVictim(program, run.args, { env, cwd: zioDirectory, timeoutMs: 60_000 });
    const problems = disagreements(plain, zio);
    if (problems.length > 0) throw new Error(`${run.victim} ${run.args.join(" ")}\n  ${problems.join("\n  ")}`);
    // What a process left that was killed, or still used the pool when it ended.
    if (run.recovers !== false && readdirSync(poolDirectory).length > 0) await (await Pool.open(pool)).close();
    if (run.sameFiles !== false) {
      const [left, right] = [filesIn(plainDirectory), filesIn(zioDirectory)];
      for (const path of new Set([...Object.keys(left), ...Object.keys(right)]))
        if (left[path] !== right[path])
          throw new Error(`${path} differs: ${left[path]?.length} bytes plain, ${right[path]?.length} under zIO`);
    }
    const lines = readdirSync(scratch).includes("log") ? readFileSync(log, "utf8").trim().split("\n") : [];
    return { plain, zio, stats: readStatsDirectory(stats), log: lines };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
    rmSync(poolDirectory, { recursive: true, force: true });
  }
}
