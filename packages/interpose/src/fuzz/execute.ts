// Runs one program of operations plain or preloaded, and compares two runs.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readStatsDirectory } from "../read-stats.js";

/** How the library is set up for a run. */
export const modes = {
  always: { ZIO_POLICY: "always" },
  learn: { ZIO_POLICY: "learn" },
  /** It hardly backs off, so that it goes on learning which pages are touched: a fault costs just more than copying one. */
  "learn-for-free": { ZIO_POLICY: "learn", ZIO_COSTS: "elide=0,input=0,overwrite=0,fault=300,page=0" },
  "no-move": { ZIO_POLICY: "always", ZIO_DISABLE: "move" },
  "small-threshold": { ZIO_POLICY: "always", ZIO_THRESHOLD: "4K" },
  "little-memory": { ZIO_POLICY: "always", ZIO_MEMORY_LIMIT: "1M" },
} as const satisfies Record<string, Record<string, string>>;
export type Mode = keyof typeof modes;

export interface Run {
  /** Lines of standard output and error. */
  lines: readonly string[];
  /** "exit status 0", "killed by SIGSEGV", "hang". */
  ending: string;
  /** Of all processes of a preloaded run. */
  counters: Record<string, number>;
}

export interface Executor {
  program: string;
  library: string;
  /** For the files of runs. */
  scratch: string;
  timeoutMs: number;
}

function environmentOf(executor: Executor, mode: Mode | undefined, stats: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  const plain = { ...Object.fromEntries(kept), LC_ALL: "C" };
  return mode ? { ...plain, ...modes[mode], ZIO_STATS: stats, LD_PRELOAD: executor.library } : plain;
}

/** Kills the program with all of its children: it was started as the leader of a group. */
function killGroup(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, "SIGKILL");
  } catch {
    // It is gone.
  }
}

/** Executes the program in `file`; without a mode, plain. */
export function execute(executor: Executor, file: string, mode?: Mode): Promise<Run> {
  const stats = `${file}.stats`;
  if (mode) mkdirSync(stats, { recursive: true });
  return new Promise((resolve, reject) => {
    const child = spawn(executor.program, [file], {
      env: environmentOf(executor, mode, stats),
      cwd: executor.scratch,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const output: Buffer[] = [];
    let hang = false;
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
    const deadline = setTimeout(() => {
      hang = true;
      killGroup(child);
    }, executor.timeoutMs);
    child.on("error", (error) => {
      clearTimeout(deadline);
      reject(error);
    });
    child.on("close", (status, signal) => {
      clearTimeout(deadline);
      killGroup(child);
      const counters = mode ? readStatsDirectory(stats).totals : {};
      rmSync(stats, { recursive: true, force: true });
      const ending = hang ? "hang" : signal ? `killed by ${signal}` : `exit status ${status}`;
      resolve({ lines: Buffer.concat(output).toString("latin1").split("\n").filter(Boolean), ending, counters });
    });
  });
}

export interface Difference {
  /** The line of the program that the first differing line of output is about; 0 where that is none. */
  line: number;
  plain: string;
  zio: string;
}

/** The first difference of two runs. */
export function compareRuns(plain: Run, zio: Run): Difference | undefined {
  const count = Math.max(plain.lines.length, zio.lines.length);
  for (let i = 0; i < count; i++) {
    const [left, right] = [plain.lines[i] ?? plain.ending, zio.lines[i] ?? zio.ending];
    if (left === right) continue;
    const number = /^[^0-9]*(?:\d+> )?[^0-9]*(\d+) /.exec(plain.lines[i] ?? plain.lines.at(-1) ?? "");
    return { line: Number(number?.[1] ?? 0), plain: left, zio: right };
  }
  return plain.ending === zio.ending ? undefined : { line: 0, plain: plain.ending, zio: zio.ending };
}

/** The file of one candidate, in the executor's directory. */
export function candidateFile(executor: Executor, name: string): string {
  return join(executor.scratch, `${name}.zio-fuzz`);
}
