// Runs the checkout's `zio` as a user does.
import { fileURLToPath } from "node:url";
import { compileC, type RunOptions, runProgram } from "@zio/test-support";

export const zioPath = fileURLToPath(new URL("../../bin/zio", import.meta.url));
const programs = fileURLToPath(new URL("../programs/", import.meta.url));

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
  return { ...result, stdout: result.stdout.toString() };
}

/** Compiles a program of test/programs. */
export function compileProgram(name: string, flags: string[] = []): Promise<string> {
  return compileC({ sources: [`${programs}${name}`], flags });
}
