// Runs a program under zIO to its end.
import { text } from "node:stream/consumers";
import { spawn, type ZioSpawnOptions } from "./spawn.js";
import type { RunRecord } from "./stats/record.js";

export interface ZioExecOptions extends Omit<ZioSpawnOptions, "stdio"> {
  /** What the program reads from its standard input; nothing unless told. */
  input?: string | Uint8Array;
}

/** What is known of a program that ran to its end. */
export interface FinishedProgram {
  stdout: string;
  stderr: string;
  /** The counters of the program and of the processes it started. */
  zio: RunRecord;
  /** Why the program ran without zIO, or undefined where it ran under it. */
  problem: string | undefined;
}

/** How a program ended: with a status, or of a signal. */
export type ExecResult = FinishedProgram &
  ({ status: number; signal: null } | { status: null; signal: NodeJS.Signals });

/**
 * Runs a program under zIO and collects its output, as UTF-8. Any status is a result. Rejects with a ZioError where the program is
 * not there or a setting is wrong.
 */
export async function exec(
  command: string,
  args: readonly string[] = [],
  { input, ...options }: ZioExecOptions = {},
): Promise<ExecResult> {
  const child = spawn(command, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
  // A program that does not read its input ends as it likes; its status says what happened.
  child.stdin!.on("error", () => {});
  child.stdin!.end(input);
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve([status, signal]));
  });
  const [[status, signal], stdout, stderr] = await Promise.all([ended, text(child.stdout!), text(child.stderr!)]);
  const finished = { stdout, stderr, zio: child.zio.stats(), problem: child.zio.problem };
  return status === null ? { ...finished, status, signal: signal! } : { ...finished, status, signal: null };
}
