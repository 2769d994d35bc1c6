// Starting the programs of a sample and ending them: no process outlives the sample that started it.
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { basename, delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readStatsDirectory } from "@zio/interpose";
import { BenchError } from "./bench-error.js";
import { type Contender, contenderEnvironment, plain, privateDirectory } from "./contender.js";

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  lines: string[];
  stderr: string;
}

function failure(path: string, { status, signal, stderr }: Ended): BenchError {
  const how = signal ? `was killed by ${signal}` : `ended with status ${status}`;
  return new BenchError("program-failed", `${path} ${how}${stderr ? `: ${stderr.trim()}` : ""}`);
}

/** A running program whose lines of output can be waited for. */
export class Program {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly firstLine: Promise<string>;

  /** The program's path; not that of what pins it to a core. */
  readonly path: string;

  constructor(path: string, args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string) {
    this.path = basename(path) === "taskset" ? (args[2] ?? path) : path;
    const child = spawn(path, args, { env, cwd, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const lines: string[] = [];
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const reader = createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve({ status, signal, lines, stderr }));
    });
    this.firstLine = new Promise((resolve, reject) => {
      reader.once("line", resolve);
      this.ended.then((end) => reject(failure(this.path, end)), reject);
    });
    this.ended.catch(() => {});
    this.firstLine.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The port that the program's first line names. */
  async port(): Promise<number> {
    const port = /^port (\d+)$/.exec(await this.firstLine)?.[1];
    if (!port) throw new BenchError("program-failed", `${this.path} printed no port`);
    return Number(port);
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#child.kill(signal);
  }

  /** The last line as JSON, once the program has ended well. */
  async report<Report>(): Promise<Report> {
    const end = await this.ended;
    const line = end.lines.at(-1);
    if (end.status !== 0 || line === undefined) throw failure(this.path, end);
    return JSON.parse(line) as Report;
  }
}

/** What one sample starts; everything is ended with it. */
export class SampleRun {
  readonly #running: Program[] = [];

  constructor(
    readonly contender: Contender,
    readonly statsDirectory: string | undefined,
  ) {}

  /** The program that is measured, in the contender's environment. */
  startServer(path: string, args: readonly unknown[], options: { env?: NodeJS.ProcessEnv; cwd?: string } = {}) {
    const environment = { ...contenderEnvironment(this.contender, this.statsDirectory), ...options.env };
    return this.#start(new Program(path, args.map(String), environment, options.cwd));
  }

  /** A program beside it, always plain. */
  startClient(path: string, args: readonly unknown[]): Program {
    return this.#start(new Program(path, args.map(String), contenderEnvironment(plain)));
  }

  #start(program: Program): Program {
    this.#running.push(program);
    return program;
  }

  kill(): void {
    for (const program of this.#running) program.kill();
  }

  /** The counters that are not 0; null for a contender without. Throws where zIO was loaded but does nothing. */
  counters(): Record<string, number> | null {
    if (this.statsDirectory === undefined) return null;
    const { name } = this.contender;
    const { processes, totals } = readStatsDirectory(this.statsDirectory);
    if (processes.length === 0)
      throw new BenchError("not-active", `${name}: the library wrote no counters; was it loaded?`);
    // Any other state is the reason why the library does nothing.
    const useless = processes.find(({ state }) => state !== "idle" && state !== "active");
    if (useless) throw new BenchError("not-active", `${name}: zIO does nothing: ${useless.state}`);
    return Object.fromEntries(Object.entries(totals).filter(([, value]) => value !== 0));
  }

  async end(): Promise<void> {
    this.kill();
    await Promise.allSettled(this.#running.map((program) => program.ended));
    if (this.statsDirectory !== undefined) await rm(this.statsDirectory, { recursive: true, force: true });
  }
}

/** Takes one sample; its programs are killed at the time limit, and at the end. */
export async function sampleRun<Sample>(
  contender: Contender,
  timeoutMs: number,
  take: (run: SampleRun) => Promise<Sample>,
): Promise<Sample> {
  const run = new SampleRun(contender, contender.counts ? await privateDirectory("zio-bench-stats-") : undefined);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    run.kill();
  }, timeoutMs);
  try {
    return await take(run);
  } catch (error) {
    if (timedOut) throw new BenchError("timeout", `${contender.name}: no end within ${timeoutMs} ms`, { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    await run.end();
  }
}

/** The path of an installed program, or undefined. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin", "/bin", "/sbin"];
  return directories
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}

/** The path of a program of a Debian package; where it is missing the error says what to install. */
export function requireProgram(name: string, debianPackage: string): string {
  const path = findProgram(name);
  if (path === undefined)
    throw new BenchError("missing-program", `${name} is not installed: apt-get install ${debianPackage}`);
  return path;
}

/** The path of a server of this package that is a script. */
export function serverScript(name: string): string {
  return fileURLToPath(new URL(`../servers/${name}`, import.meta.url));
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Waits until the program accepts connections. */
export async function waitForPort(program: Program, port: number): Promise<void> {
  let ended = false;
  program.ended.then(
    () => {
      ended = true;
    },
    () => {
      ended = true;
    },
  );
  while (!(await connects(port))) {
    if (ended) throw failure(program.path, await program.ended);
    await sleep(20);
  }
}

/** The command that runs `command` on one core. The process is that of the command. */
export function pinned(cpu: number | undefined, command: readonly unknown[]): [path: string, args: unknown[]] {
  if (cpu === undefined) return [String(command[0]), command.slice(1)];
  return [requireProgram("taskset", "util-linux"), ["-c", cpu, ...command]];
}

/** The resident set of a process in bytes; 0 where it has gone. */
export function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
