// Runs the checkout's `zio` as a user does.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compileC, type RunOptions, runProgram } from "@zio/test-support";
import { userfaultfdProblem } from "../../src/doctor/userfaultfd.js";

export const zioPath = fileURLToPath(new URL("../../bin/zio", import.meta.url));
const programs = fileURLToPath(new URL("../programs/", import.meta.url));

/** What `zio run` says where this user has no userfaultfd. */
export const unavailableLine = /^zio: userfaultfd is not available: .*, so the command runs unchanged; .*\n/m;

/** Messages without that one: the tests of everything else hold for every user. */
export function withoutUnavailable(stderr: string): string {
  return userfaultfdProblem() ? stderr.replace(unavailableLine, "") : stderr;
}

/** Options of `spawnSync` that start a program as a user without any rights. */
export const asNobody = { uid: 65534, gid: 65534, cwd: "/" } as const;

/** Why a program cannot be started as that user here, or false. */
export function nobodyProblem(): string | false {
  if (process.geteuid?.() !== 0) return "only root can become another user";
  const reached = spawnSync("test", ["-x", zioPath], asNobody).status === 0;
  return !reached && "another user cannot reach this checkout";
}

/** Whether a user without any rights may use userfaultfd here. */
export function nobodyHasUserfaultfd(): boolean {
  return spawnSync("sh", ["-c", "exec 3<>/dev/userfaultfd"], asNobody).status === 0;
}

export interface ZioResult {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs `zio` with the words given; variables of zIO in the environment of the tests do not reach it. */
export async function runZio(words: string[], options: RunOptions = {}): Promise<ZioResult> {
  const clean = { LD_PRELOAD: undefined, ZIO_POLICY: undefined, ZIO_STATS: undefined, ZIO_LOG: undefined };
  const result = await runProgram(zioPath, words, { ...options, env: { ...clean, ...options.env } });
  return { ...result, stdout: result.stdout.toString(), stderr: withoutUnavailable(result.stderr) };
}

/** Compiles a program of test/programs. */
export function compileProgram(name: string, flags: string[] = []): Promise<string> {
  return compileC({ sources: [`${programs}${name}`], flags });
}
