// A `zio` that a test talks to while it runs.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
}

/** A started program whose lines can be waited for; it is killed at the latest by `dispose`. */
export class StartedProgram {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly ended: Promise<Ended>;
  stderr = "";

  constructor(path: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const child = spawn(path, [...args], { env, stdio: ["pipe", "pipe", "pipe"] });
    this.child = child;
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(line));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve({ status, signal }));
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** The first line that matches. */
  async line(pattern: RegExp): Promise<string> {
    await until(() => this.lines.some((line) => pattern.test(line)), `a line like ${pattern}`);
    return this.lines.find((line) => pattern.test(line))!;
  }

  /** Kills the program and all that descends from it. */
  dispose(): void {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    for (const pid of [...descendantsOf(this.pid), this.pid]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}

function descendantsOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
    return [...children, ...children.flatMap(descendantsOf)];
  } catch {
    return [];
  }
}

/** Waits until `condition` holds; rejects after a minute. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(5);
  }
}

/** The letter of a process's state: R, S, T (stopped), Z; "gone" where there is none. */
export function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  } catch {
    return "gone";
  }
}
