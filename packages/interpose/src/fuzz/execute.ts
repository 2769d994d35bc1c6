// Runs one program of operations plain or preloaded, in a directory of its own, and compares two runs.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
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
  /** The files whose names end with .log are logged in a pool. */
  logged: { ZIO_POLICY: "always", ...pooled("64M") },
  "logged-learn": { ZIO_POLICY: "learn", ...pooled("64M") },
  "logged-small": { ZIO_POLICY: "always", ...pooled("4M") },
  "logged-checked": { ZIO_POLICY: "always", ZIO_NVM_CHECKSUM: "yes", ...pooled("16M") },
  "logged-copied": { ZIO_POLICY: "off", ...pooled("64M") },
} as const satisfies Record<string, Record<string, string>>;
export type Mode = keyof typeof modes;

function pooled(size: string) {
  return { ZIO_NVM_FILES: "*.log", ZIO_NVM_SIZE: size };
}

/** Whether programs that run in this mode are to work on named files. */
export function isLogged(mode: Mode): boolean {
  return mode.startsWith("logged");
}

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
  /** The library of pools; without it no mode that logs can be tried. */
  provider?: string;
  /** Where pools lie; memory where there is such a file system. */
  poolDirectory?: string;
  /** For the files of runs. */
  scratch: string;
  timeoutMs: number;
}

/** What a run has of its own, and where. */
interface Place {
  directory: string;
  stats: string;
  /** Of the pool; the last process of a run has applied what is logged, and the pool goes with it. */
  pool?: string;
}

function makePlace(executor: Executor, file: string, mode: Mode | undefined): Place {
  const place: Place = { directory: `${file}.files`, stats: `${file}.stats` };
  for (const path of [place.directory, place.stats]) mkdirSync(path, { recursive: true });
  if (mode && isLogged(mode)) place.pool = mkdtempSync(join(executor.poolDirectory ?? "/dev/shm", "zio-fuzz-"));
  return place;
}

function removePlace({ directory, stats, pool }: Place): void {
  for (const path of [directory, stats, pool]) if (path) rmSync(path, { recursive: true, force: true });
}

function environmentOf(executor: Executor, mode: Mode | undefined, place: Place): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  const plain = { ...Object.fromEntries(kept), LC_ALL: "C" };
  if (!mode) return plain;
  const nvm = place.pool && { ZIO_NVM: join(place.pool, "pool"), ZIO_NVM_PROVIDER: executor.provider ?? "" };
  return { ...plain, ...modes[mode], ...nvm, ZIO_STATS: place.stats, LD_PRELOAD: executor.library };
}

/** A line for each file that a run left, as whoever comes without zIO finds it. */
function describeFiles(directory: string): string[] {
  return readdirSync(directory)
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const status = lstatSync(path);
      const sum = status.isFile()
        ? createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16)
        : "a link";
      return `0 left ${name}: ${status.size} ${sum}`;
    });
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
  const place = makePlace(executor, file, mode);
  return new Promise((resolve, reject) => {
    const child = spawn(executor.program, [file], {
      env: environmentOf(executor, mode, place),
      cwd: place.directory,
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
      const counters = mode ? readStatsDirectory(place.stats).totals : {};
      const ending = hang ? "hang" : signal ? `killed by ${signal}` : `exit status ${status}`;
      const lines = Buffer.concat(output).toString("latin1").split("\n").filter(Boolean);
      resolve({ lines: [...lines, ...describeFiles(place.directory)], ending, counters });
      removePlace(place);
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
