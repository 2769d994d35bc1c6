// The differential harness: a victim program must not be able to tell whether libzio.so is loaded. It runs plain and
// then preloaded in each mode; standard output, standard error, exit status and signal must be the same, and the
// counters must show that copies were really elided, or the comparison would prove nothing.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seccompFilters } from "@zio/fault-handler";
import { describe, expect, type TestContext, test } from "vitest";
import { readStatsDirectory, type StatsDirectory } from "../../src/read-stats.js";
import { chosenLibrary } from "./chosen-library.js";
import { compileVictim } from "./compile-victim.js";
import { disagreements, explainDumps } from "./differences.js";
import {
  type ExpectedElision,
  freeCosts,
  learningProblems,
  missingElision,
  nonZero,
  type UnderLearn,
} from "./elision.js";
import { type Outcome, runVictim } from "./run-victim.js";

// Compiled, where it must be, before the time of the first test runs.
await chosenLibrary();

/** How the library is set up for a run. */
export const modes = {
  always: { ZIO_POLICY: "always" },
  learn: { ZIO_POLICY: "learn" },
  "always without move": { ZIO_POLICY: "always", ZIO_DISABLE: "move" },
  "learn where it is free": { ZIO_POLICY: "learn", ZIO_COSTS: freeCosts },
} as const;
export type Mode = keyof typeof modes;
const everyRun: readonly Mode[] = ["always", "learn", "always without move"];

export interface VictimRun {
  /** test/victims/NAME.c */
  victim: string;
  args?: readonly string[];
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  /** What the counters must reach in every mode; true unless told. */
  expectElision?: ExpectedElision;
  /** An exception from that. */
  underLearn?: UnderLearn;
  /** Libraries to preload in every run, after libzio.so. */
  preload?: readonly string[];
  /** Likewise, before ours. */
  preloadBefore?: readonly string[];
  modes?: readonly Mode[];
  /** Another libzio.so than the one that is chosen for all. */
  library?: string;
  timeoutMs?: number;
}

/** What `bothWays` saw, for further checks. */
export interface BothWays {
  plain: Outcome;
  zio: Partial<Record<Mode, ZioRun>>;
}

export interface ZioRun {
  outcome: Outcome;
  stats: StatsDirectory;
}

/** A victim that lacks something of the machine prints the reason last and exits with this status. */
const skipStatus = 77;

let kernelRefusal: Promise<string> | undefined;

/** Why userfaultfd cannot be used here, or an empty string. */
export function userfaultfdRefusal(): Promise<string> {
  kernelRefusal ??= compileVictim("userfaultfd").then(async (program) => {
    const { stdout } = await runVictim(program, [], { env: {}, cwd: tmpdir(), timeoutMs: 5000 });
    return stdout.toString().trim();
  });
  return kernelRefusal;
}

/** The library under a path that LD_PRELOAD, which splits at spaces and colons, can name. */
export async function preloadableLibrary(chosen?: string): Promise<string> {
  const libraryPath = chosen ?? (await chosenLibrary());
  if (!existsSync(libraryPath)) throw new Error(`${libraryPath} is missing: build it first (npm run build)`);
  if (!/[\s:]/.test(libraryPath)) return libraryPath;
  const name = createHash("sha256").update(libraryPath).digest("hex").slice(0, 16);
  const link = join(tmpdir(), `libzio-${name}.so`);
  if (!existsSync(link)) symlinkSync(libraryPath, link);
  return link;
}

function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  const filters = seccompFilters(); // those of a container
  return { ...Object.fromEntries(kept), LC_ALL: "C", ...(filters ? { ZIO_SECCOMP: String(filters) } : {}) };
}

/** The runs of one victim, each in a directory of its own below one scratch directory. */
class Session {
  readonly #scratch = mkdtempSync(join(tmpdir(), "zio-both-ways-"));
  #runs = 0;

  constructor(
    readonly program: string,
    readonly run: VictimRun,
  ) {}

  get args(): readonly string[] {
    return this.run.args ?? [];
  }

  /** The settings of `mode` with those of the run, which may mask further features. */
  settings(mode: Mode): Record<string, string> {
    const own = this.run.env ?? {};
    const masked = [modes[mode], own].flatMap((env) => ("ZIO_DISABLE" in env ? [env.ZIO_DISABLE] : []));
    return { ...own, ...modes[mode], ...(masked.length > 0 ? { ZIO_DISABLE: masked.join(",") } : {}) };
  }

  preload(libraries: readonly string[]): string {
    return [...(this.run.preloadBefore ?? []), ...libraries, ...(this.run.preload ?? [])].join(":");
  }

  directory(name: string): string {
    const path = join(this.#scratch, name);
    mkdirSync(path);
    return path;
  }

  async execute(settings: Record<string, string>, libraries: readonly string[]): Promise<ZioRun> {
    const name = `run${++this.#runs}`;
    const cwd = this.directory(name);
    const stats = this.directory(`${name}.stats`);
    const env = { ...plainEnvironment(), ...this.run.env, ...settings, ZIO_STATS: stats };
    const preload = this.preload(libraries);
    const outcome = await runVictim(this.program, this.args, {
      env: preload ? { ...env, LD_PRELOAD: preload } : env,
      cwd,
      stdin: this.run.stdin,
      timeoutMs: this.run.timeoutMs ?? 40_000,
    });
    return { outcome, stats: readStatsDirectory(stats) };
  }

  /** Repeats both runs with the memory that the victim shows dumped, and says where it differs. */
  async explain(mode: Mode, library: string): Promise<string | undefined> {
    const [plain, zio] = [this.directory("plain.dump"), this.directory(`${mode}.dump`)];
    await this.execute({ VICTIM_DUMP: plain }, []);
    await this.execute({ ...this.settings(mode), VICTIM_DUMP: zio }, [library]);
    return explainDumps(plain, zio);
  }

  failure(mode: Mode, library: string, problems: readonly string[], stats: StatsDirectory): Error {
    const settings = Object.entries(this.settings(mode)).map(([name, value]) => `${name}=${value}`);
    const byHand = [...settings, `LD_PRELOAD=${this.preload([library])}`, this.program, ...this.args].join(" ");
    const title = `${this.run.victim} ${this.args.join(" ")} [${mode}]`;
    return new Error([title, ...problems, `counters: ${nonZero(stats)}`, `by hand: ${byHand}`].join("\n  "));
  }

  [Symbol.dispose](): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }
}

/** Runs the session once in `mode` and fails where it can be told from `plain`. */
async function compare(session: Session, mode: Mode, plain: Outcome, library: string): Promise<ZioRun> {
  const zio = await session.execute(session.settings(mode), [library]);
  const problems = disagreements(plain, zio.outcome);
  if (problems.length === 0) return zio;
  if (zio.outcome.hang === undefined) problems.push((await session.explain(mode, library)) ?? "no memory was dumped");
  throw session.failure(mode, library, problems, zio.stats);
}

/** A case may touch more than pays, and `learn` gives up; then it must elide where it costs nothing. */
async function compareLearning(session: Session, plain: Outcome, library: string): Promise<ZioRun> {
  const { expectElision, underLearn } = session.run;
  const asShipped = await compare(session, "learn", plain, library);
  if (missingElision(expectElision, asShipped.stats).length === 0 && underLearn?.elides !== "not enough")
    return asShipped;
  const free = await compare(session, "learn where it is free", plain, library);
  const problems = learningProblems(underLearn, missingElision(expectElision, free.stats));
  if (problems.length > 0) throw session.failure("learn where it is free", library, problems, free.stats);
  return asShipped;
}

async function compareForced(session: Session, mode: Mode, plain: Outcome, library: string): Promise<ZioRun> {
  const zio = await compare(session, mode, plain, library);
  const missing = missingElision(session.run.expectElision, zio.stats);
  if (missing.length > 0) throw session.failure(mode, library, missing, zio.stats);
  return zio;
}

/** Runs a victim plain and in each mode and fails on the first mode in which the two can be told apart. */
export async function bothWays(run: VictimRun, context?: TestContext): Promise<BothWays> {
  const refusal = await userfaultfdRefusal();
  if (refusal && context) context.skip(refusal);
  const missing = run.preload?.find((library) => !existsSync(library));
  if (missing && context) context.skip(`${missing} is not installed`);
  const session = new Session(await compileVictim(run.victim), run);
  try {
    const { outcome: plain } = await session.execute({}, []);
    if (plain.status === skipStatus && context) context.skip(plain.stdout.toString().trim().split("\n").at(-1));
    if (plain.hang !== undefined) throw new Error(`${run.victim} hangs without zIO:\n${plain.hang}`);
    const library = await preloadableLibrary(run.library);
    const result: BothWays = { plain, zio: {} };
    for (const mode of run.modes ?? everyRun)
      result.zio[mode] =
        mode === "learn"
          ? await compareLearning(session, plain, library)
          : await compareForced(session, mode, plain, library);
    return result;
  } finally {
    session[Symbol.dispose]();
  }
}

/** Sub-case and arguments, or a run with more settings, by the sentence that the test is called. */
export type Sentences = Record<string, string | Omit<VictimRun, "victim">>;

export interface Shared extends Omit<VictimRun, "victim"> {
  /** Whether the sentences have to cover the whole victim; true unless told. */
  complete?: boolean;
}

/** A test for each sentence, and one that proves that no sub-case of the victim was forgotten. */
export function describeVictim(
  victim: string,
  sentences: Sentences,
  { complete = true, ...shared }: Shared = {},
): void {
  const runs = Object.entries(sentences).map(([sentence, given]) => {
    const own = typeof given === "string" ? { args: given.split(" ") } : given;
    return { sentence, run: { ...shared, ...own, env: { ...shared.env, ...own.env }, victim } };
  });
  describe(victim, () => {
    for (const { sentence, run } of runs)
      test(sentence, { timeout: 100_000 }, async (context) => {
        await bothWays(run, context);
      });
    if (!complete) return;
    test("every sub-case of the victim has a sentence", async () => {
      const listed = await runVictim(await compileVictim(victim), [], { env: {}, cwd: tmpdir(), timeoutMs: 5000 });
      const names = listed.stdout.toString().trim().split("\n");
      expect(new Set(runs.map(({ run }) => run.args?.[0]))).toEqual(new Set(names));
    });
  });
}
