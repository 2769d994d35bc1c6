// What `zio run` needs of Node, apart from the CLI so that it loads quickly: planning before the program, and recording
// the counters after it. Started by bin/zio and by zio-launch only.
import { readFileSync, unlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { platformProblem, ZioError } from "@zio/core";
import { parseRun } from "./commands/run.js";
import { CommandError } from "./exit-status.js";
import { answer, say } from "./messages.js";
import { type PoolRequest, preparePool } from "./persistence/prepare-pool.js";
import type { PoolAnswer } from "./persistence/spawn-persistence.js";
import { EnvironmentBytes, splitAtNul } from "./run/environment-bytes.js";
import { writePlan } from "./run/launch-plan.js";
import { prepareRun, runsUnchanged } from "./run/prepare-run.js";
import { recordRun } from "./run/record-run.js";

const script = fileURLToPath(import.meta.url);

/**
 * Tells the shell the plan's file and the launcher, or where zIO cannot work how many words the command has; nothing where the CLI itself should go on, as for
 * --help.
 */
async function plan(shell: number, typed: string[]): Promise<void> {
  const request = parseRun(typed.slice(1));
  if (request === undefined) return;
  const problem = platformProblem();
  if (problem && request.command.length > 0) {
    say(runsUnchanged(problem, request.statsFile));
    answer(`zio-plain:${request.command.length}\n`);
    return;
  }
  // The bytes of the command: those of this process's last arguments.
  const count = request.command.length;
  const command = count > 0 ? splitAtNul(readFileSync("/proc/self/cmdline")).slice(-count) : [];
  const prepared = await prepareRun({ ...request, command, pid: shell }, EnvironmentBytes.ofProcess(shell), script);
  for (const line of prepared.lines) say(line);
  const file = writePlan(prepared.plan);
  // The shell may have been killed meanwhile.
  if (!answer(`zio-plan:${file}\n${prepared.launcher}\n`)) unlinkSync(file);
}

/** For `spawn`: prepares a pool and tells on standard output how that went. */
async function tellOfPool(request: PoolRequest): Promise<void> {
  let told: PoolAnswer;
  try {
    told = { prepared: await preparePool(request) };
  } catch (error) {
    if (!(error instanceof ZioError)) throw error;
    told = { refused: { message: error.message, code: error.code } };
  }
  answer(JSON.stringify(told));
}

async function main([verb, ...rest]: string[]): Promise<void> {
  try {
    if (verb === "plan") await plan(Number(rest[0]), rest.slice(1));
    else if (verb === "pool") await tellOfPool(JSON.parse(rest[0] ?? ""));
    else recordRun(rest);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    say(error.message);
    process.exitCode = error.status;
  }
}

await main(process.argv.slice(2));
