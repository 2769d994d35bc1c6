// Runs one program to its end and keeps what an observer outside can see of it. A program that outlives its time is
// killed by its pid, after a note of what each of its threads was waiting for.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export interface RunOptions {
  env: NodeJS.ProcessEnv;
  cwd: string;
  stdin?: string | Uint8Array | undefined;
  timeoutMs: number;
}

export interface Outcome {
  stdout: Buffer;
  stderr: Buffer;
  status: number | null;
  signal: NodeJS.Signals | null;
  /** Where the threads stood when the program had to be killed; undefined when it ended by itself. */
  hang?: string;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return "?";
  }
}

function childrenOf(pid: number): number[] {
  return readText(`/proc/${pid}/task/${pid}/children`).split(" ").map(Number).filter(Boolean);
}

/** A line for each thread of `pid` and of its children: state, wait channel, system call. */
export function describeThreads(pid: number): string {
  const lines: string[] = [];
  for (const process of [pid, ...childrenOf(pid)]) {
    let threads: string[] = [];
    try {
      threads = readdirSync(`/proc/${process}/task`);
    } catch {
      continue;
    }
    for (const thread of threads) {
      const base = `/proc/${process}/task/${thread}`;
      const state = /^State:\s*(.*)$/m.exec(readText(`${base}/status`))?.[1] ?? "?";
      const stack = readText(`${base}/stack`)
        .split("\n")
        .slice(0, 4)
        .join(" < ")
        .replace(/\[<0>\] /g, "");
      lines.push(
        `    ${process}/${thread} ${readText(`${base}/comm`)}: ${state}; ${stack}; syscall ${readText(`${base}/syscall`)}`,
      );
    }
  }
  return lines.join("\n");
}

/** Starts `file`, feeds it `stdin` and waits until it ended. */
export function runVictim(file: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], { env: options.env, cwd: options.cwd, stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let hang: string | undefined;
    let drain: NodeJS.Timeout | undefined;
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {}); // the program may leave its input unread
    child.stdin.end(options.stdin ?? "");

    const deadline = setTimeout(() => {
      hang = describeThreads(child.pid!);
      child.kill("SIGKILL");
    }, options.timeoutMs);
    child.on("error", (error) => {
      clearTimeout(deadline);
      reject(error);
    });
    child.on("exit", () => {
      clearTimeout(deadline);
      // A process that the victim left behind may hold the pipes open.
      drain = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, 2000);
    });
    child.on("close", (status, signal) => {
      clearTimeout(drain);
      const outcome: Outcome = { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), status, signal };
      if (hang !== undefined) outcome.hang = hang;
      resolve(outcome);
    });
  });
}
