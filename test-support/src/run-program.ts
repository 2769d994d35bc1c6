// Runs a program to its end and collects what it left behind.
import { spawn } from "node:child_process";

export interface RunOptions {
  /** Added to the environment of the test; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  stdin?: string | Uint8Array;
  /** Then the program is killed with SIGKILL and the promise rejects. A minute unless told. */
  timeoutMs?: number;
}

export interface RunResult {
  /** The exit status; null where a signal ended the program. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
}

/** Rejects only where the program cannot be started or does not end in time. */
export function runProgram(path: string, args: string[] = [], options: RunOptions = {}): Promise<RunResult> {
  const { env, cwd, stdin, timeoutMs = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { cwd, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
      // A grandchild may hold the pipes open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // A program that does not read its input ends with EPIPE here; its status says what happened.
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      const result = { status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
      if (timedOut) reject(new Error(`${path} did not end within ${timeoutMs} ms; stderr: ${result.stderr}`));
      else resolve(result);
    });
  });
}
