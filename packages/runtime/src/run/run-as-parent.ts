// `zio run` where Node itself was asked to run it (`node dist/cli.js run`) and not bin/zio: the program is then a child,
// and what Node changed in this process at its start reaches the program.
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { platformProblem } from "@zio/core";
import type { TypedRun } from "../commands/run.js";
import { say } from "../messages.js";
import { EnvironmentBytes } from "./environment-bytes.js";
import { writePlan } from "./launch-plan.js";
import { prepareRun, runsUnchanged } from "./prepare-run.js";

const launchScript = join(dirname(fileURLToPath(import.meta.url)), "launch.js");
const handedOn: readonly NodeJS.Signals[] = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT"];
/** The terminal sends these to the program as well. */
const sharedWithProgram: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT"];

/** Runs the command as a child and ends as it ended. */
export async function runAsParent(typed: TypedRun): Promise<void> {
  const [program, ...words] = typed.command;
  const problem = platformProblem();
  if (problem && program !== undefined) {
    say(runsUnchanged(problem, typed.statsFile));
    return endAs(() => spawn(program, words, { stdio: "inherit" }));
  }
  const command = typed.command.map((word) => Buffer.from(word));
  const request = { ...typed, command, pid: process.pid };
  const { plan, launcher, lines } = await prepareRun(request, EnvironmentBytes.of(process.env), launchScript);
  for (const line of lines) say(line);
  return endAs(() => spawn(launcher, [writePlan(plan)], { stdio: "inherit" }));
}

/**
 * Hands on signals, and ends as the child ends. They are caught before the child exists: it may run, and be known to
 * whoever sends them, while `start` has not returned yet.
 */
function endAs(start: () => ChildProcess): Promise<void> {
  let child: ChildProcess;
  for (const signal of handedOn) process.on(signal, () => child.kill(signal));
  for (const signal of sharedWithProgram) process.on(signal, () => {});
  child = start();
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status, signal) => {
      for (const name of [...handedOn, ...sharedWithProgram]) process.removeAllListeners(name);
      if (signal) process.kill(process.pid, constants.signals[signal]);
      process.exitCode = status ?? 128;
      resolve();
    });
  });
}
