// Runs real programs plain or under zIO. A session owns a private directory, the counters and every process that it
// started; when it is closed, none of them is left. Nothing here knows any of the programs.
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, type TestContext, test } from "vitest";
import type { Settings } from "../../src/config-table.js";
import { environment } from "../../src/environment.js";
import { readStatsDirectory, type StatsDirectory } from "../../src/read-stats.js";
import { chosenLibrary } from "../support/chosen-library.js";
import { describeThreads } from "../support/run-victim.js";

/** How a program may be run: without zIO, or with it set up so. */
const settings = {
  "without zIO": null,
  "under policy always": { policy: "always" },
  "under policy learn": { policy: "learn" },
  "without UFFDIO_MOVE": { policy: "always", disable: ["move"] },
} satisfies Record<string, Settings | null>;
export type Setting = keyof typeof settings;

/** What the counters must reach, in bytes. */
export interface Evidence {
  redirectedBytes?: number;
  elidedBytes?: number;
  loggedBytes?: number;
  loggedByReferenceBytes?: number;
}

export interface AppTest {
  /** Programs that must be installed. */
  programs: readonly string[];
  /**
   * The least that the counters must show under policy `always` after the data checks have passed. Policy `learn` may
   * find that a program does not gain; there the library must only have been loaded.
   */
  evidence: Evidence;
  /** Whether to run it without UFFDIO_MOVE too. */
  withoutMove?: boolean;
  timeoutMs?: number;
}

export interface StartOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Plain whatever the session's setting is. */
  plain?: boolean;
}

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
}

const lastOutputBytes = 2000;
/** Every other state of a counters page is the reason why the library does nothing. */
const workingStates = ["idle", "active"];

/** The path of an installed program: the system's own before a version manager's wrapper. */
export function findProgram(name: string): string | undefined {
  if (name === "node") return process.execPath;
  const places = ["/usr/local/bin", "/usr/bin", "/bin", ...(process.env.PATH ?? "").split(delimiter)];
  return places
    .map((place) => join(place, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** A program of a session. */
export class App {
  readonly ended: Promise<Ended>;
  /** The first line of its standard output. */
  readonly firstLine: Promise<string>;
  #errorText = "";

  constructor(
    readonly name: string,
    readonly child: ChildProcess,
  ) {
    const stdout: Buffer[] = [];
    child.stderr!.on("data", (chunk: Buffer) => {
      this.#errorText = (this.#errorText + chunk.toString("latin1")).slice(-lastOutputBytes);
    });
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve({ status, signal, stdout: Buffer.concat(stdout) }));
    });
    this.firstLine = new Promise((resolve, reject) => {
      let text = "";
      child.stdout!.on("data", (chunk: Buffer) => {
        stdout.push(chunk);
        if (!text.includes("\n")) text += chunk.toString("latin1");
        if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
      });
      this.ended.then(() => reject(new Error(`${name} ended without a line of output`)), reject);
    });
    // Nobody has to wait for either.
    this.ended.catch(() => {});
    this.firstLine.catch(() => {});
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** How it ended, if it did, and what it last said. */
  describe(): string {
    const { exitCode, signalCode, pid } = this.child;
    const state = signalCode ? `killed by ${signalCode}` : exitCode === null ? "running" : `exit status ${exitCode}`;
    const said = this.#errorText ? `; stderr: ${this.#errorText.trim()}` : "";
    const threads = this.isRunning ? `; its threads:\n${describeThreads(pid!)}` : "";
    return `${this.name} (${pid}): ${state}${said}${threads}`;
  }

  /** Asks it to end and waits. */
  async stop(signal: NodeJS.Signals = "SIGTERM", patienceMs = 10_000): Promise<Ended> {
    if (this.isRunning) this.child.kill(signal);
    const late = sleep(patienceMs, undefined, { ref: false }).then(() => {
      this.child.kill("SIGKILL");
      throw new Error(`${this.name} did not end within ${patienceMs} ms of ${signal}`);
    });
    return Promise.race([this.ended, late]);
  }
}

export class AppSession {
  readonly directory = mkdtempSync(join(tmpdir(), "zio-app-"));
  /** Variables for every program of the session. */
  readonly variables: Record<string, string> = {};
  /** Everything from now on is plain whatever the setting is. */
  plain = false;
  readonly #statsDirectory = join(this.directory, "counters");
  readonly #apps: App[] = [];

  constructor(
    readonly setting: Setting,
    readonly library: string,
  ) {
    mkdirSync(this.#statsDirectory);
  }

  /** The environment of a program: the test's own without anything of zIO, plus the setting. */
  #environment({ env = {}, plain = false }: StartOptions): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
    const base = { ...Object.fromEntries(kept), LC_ALL: "C", HOME: this.directory, ...this.variables, ...env };
    const chosen = settings[this.setting];
    if (plain || this.plain || chosen === null) return base;
    const options = { base, library: this.library, statsDirectory: this.#statsDirectory, ...(chosen as Settings) };
    return { ...base, ...environment(options) };
  }

  start(program: string, args: readonly string[], options: StartOptions = {}): App {
    const path = findProgram(program) ?? program;
    const child = spawn(path, args, {
      env: this.#environment(options),
      cwd: options.cwd ?? this.directory,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const app = new App(program, child);
    this.#apps.push(app);
    return app;
  }

  /** Runs a program to its end and returns its output; throws where it fails. */
  async run(program: string, args: readonly string[], options: StartOptions = {}): Promise<Buffer> {
    const app = this.start(program, args, options);
    const { status, stdout } = await app.ended;
    if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed`);
    return stdout;
  }

  stats(): StatsDirectory {
    return readStatsDirectory(this.#statsDirectory);
  }

  /** For the message of a failure. */
  describe(): string {
    const { processes } = this.stats();
    const counters = processes.map(({ pid, command, state, counters: values }) => {
      const used = Object.entries(values).filter(([, value]) => value !== 0);
      return `counters of ${command} (${pid}), ${state}: ${used.map(([name, value]) => `${name}=${value}`).join(" ")}`;
    });
    return [...this.#apps.map((app) => app.describe()), ...counters].map((line) => `  ${line}`).join("\n");
  }

  async close(): Promise<void> {
    for (const app of this.#apps) if (app.isRunning) app.child.kill("SIGKILL");
    await Promise.allSettled(this.#apps.map((app) => app.ended));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Throws where zIO was not loaded or did less than it had to. */
function checkEvidence({ processes, totals }: StatsDirectory, evidence: Evidence): void {
  if (processes.length === 0) throw new Error("no counters: the library was not loaded");
  for (const [name, least] of Object.entries(evidence) as [keyof Evidence, number][])
    if ((totals[name] ?? 0) < least) throw new Error(`${name} is ${totals[name] ?? 0}, expected at least ${least}`);
}

/** Runs `body` within the time and tells of a failure with what the processes and counters were. */
async function bounded(session: AppSession, timeoutMs: number, body: () => Promise<void>): Promise<void> {
  const late = sleep(timeoutMs, undefined, { ref: false }).then(() => {
    throw new Error(`no end within ${timeoutMs} ms`);
  });
  try {
    await Promise.race([body(), late]);
  } catch (error) {
    if (error instanceof Error) error.message += `\n${session.describe()}`;
    throw error;
  }
}

/** A test of real programs in each setting: the body checks the data, then the counters must show that zIO worked. */
export function describeApp(name: string, app: AppTest, body: (session: AppSession) => Promise<void>): void {
  const { programs, evidence, withoutMove = false, timeoutMs = 110_000 } = app;
  const testIn = async (setting: Setting, context: TestContext) => {
    const missing = programs.filter((program) => findProgram(program) === undefined);
    if (missing.length > 0) context.skip(`not installed: ${missing.join(", ")}`);
    const session = new AppSession(setting, await chosenLibrary());
    try {
      await bounded(session, timeoutMs, () => body(session));
      if (settings[setting] === null) return;
      const refused = session.stats().processes.find(({ state }) => !workingStates.includes(state));
      if (refused) context.skip(`${refused.command}: ${refused.state}`);
      await bounded(session, timeoutMs, async () =>
        checkEvidence(session.stats(), setting === "under policy learn" ? {} : evidence),
      );
    } finally {
      await session.close();
    }
  };
  describe(name, () => {
    for (const setting of Object.keys(settings) as Setting[])
      if (withoutMove || setting !== "without UFFDIO_MOVE")
        test(setting, { timeout: timeoutMs + 5000 }, (context) => testIn(setting, context));
  });
}
