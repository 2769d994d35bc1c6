// Starts programs under zIO from Node. What Node itself does to a child it starts (default signal dispositions, its own
// limit of open files) applies here; `zio run` is the exact way.
import { type ChildProcess, type SpawnOptions, spawn as spawnProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { platformProblem, ZioError } from "@zio/core";
import { costsFor, environment, type Settings, settingVariables } from "@zio/interpose";
import { persistenceForChild } from "./persistence/spawn-persistence.js";
import { makeRunDirectory } from "./stats/directory.js";
import { type RunRecord, readRunRecord } from "./stats/record.js";
import { inspectTarget } from "./target/inspect-target.js";
import { resolveCommand } from "./target/resolve-command.js";

export interface ZioSpawnOptions extends SpawnOptions {
  /** The settings of zIO; its `statsDirectory` is made by `spawn`. */
  zio?: Omit<Settings, "statsDirectory">;
  /** Between two samples of the iterator: 1000 unless told. */
  sampleIntervalMs?: number;
}

export interface StatsSample extends RunRecord {
  /** Since the start of the program. */
  elapsedMs: number;
}

/** The counters of a program and of the processes it started. */
export interface ChildStats extends AsyncIterable<StatsSample> {
  /** Why the program runs without zIO, or undefined where it runs under it. */
  readonly problem: string | undefined;
  /** The counters now; once the program has exited, those of its end. */
  stats(): RunRecord;
}

export type ZioChildProcess = ChildProcess & { readonly zio: ChildStats };

class RunningStats implements ChildStats {
  readonly #startedMs = performance.now();
  readonly #exited = new AbortController();
  #final: RunRecord | undefined;

  constructor(
    readonly problem: string | undefined,
    private readonly directory: string,
    private readonly intervalMs: number,
  ) {}

  stats(): RunRecord {
    return this.#final ?? readRunRecord(this.directory);
  }

  /** Keeps the counters of the end and gives the directory back. */
  finish(): void {
    if (this.#final) return;
    this.#final = readRunRecord(this.directory);
    rmSync(this.directory, { recursive: true, force: true });
    this.#exited.abort();
  }

  #sample(): StatsSample {
    return { ...this.stats(), elapsedMs: performance.now() - this.#startedMs };
  }

  /** A sample at every interval while the program runs, and one of its end. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StatsSample, void, undefined> {
    while (!this.#final) {
      await sleep(this.intervalMs, undefined, { signal: this.#exited.signal }).catch(() => {});
      yield this.#sample();
    }
  }
}

function findProgram(command: string, cwd: string, env: NodeJS.ProcessEnv): Buffer {
  const name = command.includes("/") ? resolve(cwd, command) : command;
  const searchPath = env.PATH === undefined ? undefined : Buffer.from(env.PATH);
  const resolution = resolveCommand(Buffer.from(name), searchPath);
  if (resolution.found) return resolution.path;
  const details = { code: resolution.code, syscall: `spawn ${command}` };
  throw new ZioError(`cannot run ${command}: ${resolution.reason}`, details);
}

function problemWith(command: string, options: ZioSpawnOptions, env: NodeJS.ProcessEnv): string | undefined {
  const platform = platformProblem();
  if (platform) return `${platform.reason}; ${platform.fix}`;
  if (options.shell) return undefined;
  const path = findProgram(command, String(options.cwd ?? "."), env);
  const target = inspectTarget(path, env.PATH === undefined ? undefined : Buffer.from(env.PATH), env.LD_PRELOAD);
  return target.preloadable ? undefined : `${target.reason}; ${target.fix}`;
}

/**
 * Starts a program under zIO as `child_process.spawn` starts one. Throws a ZioError where the program is not there or
 * cannot be run, or a setting is wrong. A program that cannot be preloaded runs unchanged: see `child.zio.problem`. With
 * `zio.nvmPath` the call takes as long as preparing the pool does, and throws where the pool cannot be used.
 */
export function spawn(command: string, args: readonly string[] = [], options: ZioSpawnOptions = {}): ZioChildProcess {
  const { zio = {}, sampleIntervalMs = 1000, ...spawnOptions } = options;
  const env = spawnOptions.env ?? process.env;
  const problem = problemWith(command, options, env);
  // Also where the program then runs unchanged: it shall not find files that are older than the pool.
  const complete = platformProblem() ? zio : persistenceForChild(zio, env, process.cwd());
  const settings =
    problem === undefined
      ? environment({ costs: costsFor(zio, env), ...complete, base: env })
      : settingVariables(complete);
  const directory = makeRunDirectory();
  const stats = new RunningStats(problem, directory, sampleIntervalMs);
  const childEnv = problem === undefined ? { ...env, ...settings, ZIO_STATS: directory } : env;
  const child = spawnProcess(command, [...args], { ...spawnOptions, env: childEnv });
  child.once("exit", () => stats.finish());
  child.once("error", () => stats.finish());
  return Object.assign(child, { zio: stats });
}
