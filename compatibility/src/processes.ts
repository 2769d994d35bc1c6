// Starting programs and ending them. Every process of a run carries a mark in its environment, so that those which left
// their process group (daemons) are found at the end too; nothing else is ever signalled.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Finished, Started, StartOptions } from "./program.js";

const markName = "ZIO_COMPATIBILITY_RUN";

export function marked(environment: NodeJS.ProcessEnv, mark: string): NodeJS.ProcessEnv {
  return { ...environment, [markName]: mark };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Ended.
  }
}

/** The processes that carry the mark. */
function carriers(mark: string): number[] {
  const wanted = `${markName}=${mark}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(wanted);
      } catch {
        return false;
      }
    });
}

/** Kills what still carries the mark and waits for its end. */
export async function killMarked(mark: string): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const left = carriers(mark);
    if (left.length === 0) return;
    for (const pid of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended.
      }
    }
    await sleep(100);
  }
}

export function startProcess(
  command: string,
  args: string[],
  environment: NodeJS.ProcessEnv,
  options: StartOptions,
): Started {
  const output = options.stdoutFile === undefined ? "pipe" : openSync(options.stdoutFile, "w");
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: environment,
    detached: true,
    stdio: [options.stdin === undefined ? "ignore" : "pipe", output, "pipe"],
  });
  if (typeof output === "number") closeSync(output);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.stdin);

  const finished = (async (): Promise<Finished> => {
    // A grandchild may hold the pipes open after the end of the child: its output is not waited for longer than this.
    const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    const closed = once(child, "close");
    closed.catch(() => {});
    const [status, signal] = await exited;
    await Promise.race([closed, sleep(3000, undefined, { ref: false })]);
    return { status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
  })();
  finished.catch(() => {});
  return {
    process: child,
    pid: child.pid ?? 0,
    stdout: () => Buffer.concat(stdout),
    stderr: () => Buffer.concat(stderr).toString(),
    finished,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      const late = sleep(10_000, "late" as const, { ref: false });
      const end = await Promise.race([finished, late]);
      if (end !== "late") return end;
      signalGroup(child.pid!, "SIGKILL");
      await finished;
      throw new Error(`${command} did not end within 10 s of ${signal}`);
    },
  };
}

/** Runs to the end; rejects after the time limit, with what was said so far. */
export async function finish(started: Started, command: string, timeoutMs: number): Promise<Finished> {
  const controller = new AbortController();
  const late = sleep(timeoutMs, "late" as const, { signal: controller.signal }).catch(() => "late" as const);
  const end = await Promise.race([started.finished, late]);
  controller.abort();
  if (end !== "late") return end;
  signalGroup(started.pid, "SIGKILL");
  const { stdout, stderr } = await started.finished;
  const said = `${stdout.subarray(-400)}${stderr.slice(-400)}`;
  throw new Error(`${command} did not end within ${timeoutMs / 1000} s; it said: ${said}`);
}
