// Turns the command line of `zio run` into a plan: finds the program, looks whether the library can be preloaded, and
// settles the environment. Says one line for each thing the user should know and never more than the program's start
// costs: what is not possible is left out and the program runs.
import { resolve } from "node:path";
import type { PlatformProblem } from "@zio/core";
import { type KernelFeature, seccompFilters } from "@zio/fault-handler";
import { launcherPath, libraryPath, preloadablePath, preloadWith } from "@zio/interpose";
import { addressSpaceProblem } from "../doctor/machine-checks.js";
import { readText } from "../doctor/proc.js";
import { seccompProblem } from "../doctor/seccomp.js";
import { userfaultfdProblem } from "../doctor/userfaultfd.js";
import { CommandError, exitStatus } from "../exit-status.js";
import { preparePersistence } from "../persistence/prepare-persistence.js";
import { makeRunDirectory } from "../stats/directory.js";
import { inspectTarget } from "../target/inspect-target.js";
import { resolveCommand } from "../target/resolve-command.js";
import { tellCosts } from "./costs.js";
import type { EnvironmentBytes } from "./environment-bytes.js";
import type { LaunchPlan } from "./launch-plan.js";
import { applySettings, type OptionTexts, problemWithFile } from "./settings.js";

export interface RunRequest {
  options: OptionTexts;
  /** Where the counters go when the command has ended. */
  statsFile: string | undefined;
  command: readonly Buffer[];
  /** The process that becomes the command, or its parent: its limits are the command's. */
  pid: number;
}

export interface PreparedRun {
  plan: LaunchPlan;
  launcher: string;
  /** For the user, one line each. */
  lines: string[];
}

/** The line for a platform on which there is nothing to preload. */
export function runsUnchanged({ reason, fix }: PlatformProblem, statsFile: string | undefined): string {
  const how = statsFile === undefined ? "unchanged" : "unchanged and without counters";
  return `${reason}, so the command runs ${how}; ${fix}`;
}

function findProgram(command: readonly Buffer[], environment: EnvironmentBytes): Buffer {
  const [name] = command;
  if (name === undefined) {
    throw new CommandError("no command to run; for example: zio run -- redis-server --port 6379", exitStatus.usage);
  }
  const resolution = resolveCommand(name, environment.get("PATH"));
  if (resolution.found) return resolution.path;
  const status = resolution.code === "ENOENT" ? exitStatus.notFound : exitStatus.notExecutable;
  throw new CommandError(`cannot run ${name.toString()}: ${resolution.reason}`, status);
}

function findLauncher(): string {
  const launcher = launcherPath();
  if (launcher !== undefined) return launcher;
  throw new CommandError(
    "zio-launch is not built; run `npm run setup` in the checkout, or `npm rebuild @zio/interpose`",
    exitStatus.failure,
  );
}

/** Puts the library in front of LD_PRELOAD. Bytes of the old value stay what they were. */
function preload(environment: EnvironmentBytes): void {
  const library = Buffer.from(preloadablePath(libraryPath())).toString("latin1");
  const value = preloadWith(library, environment.get("LD_PRELOAD")?.toString("latin1"));
  environment.set("LD_PRELOAD", Buffer.from(value, "latin1"));
}

/** Why zIO will do nothing although the user did not say so. */
function reasonToRunPlain(environment: EnvironmentBytes, pid: number) {
  const disable = (environment.text("ZIO_DISABLE") ?? "").split(",").filter(Boolean) as KernelFeature[];
  if (environment.text("ZIO_POLICY") === "off" || disable.includes("userfaultfd")) return undefined;
  return (
    userfaultfdProblem(disable) ??
    seccompProblem(seccompFilters()) ??
    addressSpaceProblem(readText(`/proc/${pid}/limits`))
  );
}

/** What zIO needs was tried out under this process's seccomp filters just now; the command has the same. */
function allowFilters(environment: EnvironmentBytes, options: OptionTexts): void {
  const filters = seccompFilters();
  if (filters && options.ZIO_SECCOMP === undefined) environment.set("ZIO_SECCOMP", String(filters));
}

/** Adds zIO to the environment where that can work; returns the lines that say why not, or what is different. */
function addLibrary(path: Buffer, environment: EnvironmentBytes, request: RunRequest): string[] {
  const target = inspectTarget(path, environment.get("PATH"), environment.text("LD_PRELOAD"));
  if (!target.preloadable) {
    if (target.problem === "interpreter-missing")
      throw new CommandError(`cannot run ${target.path}: ${target.reason}`, exitStatus.notFound);
    return [`${target.reason}, so it runs unchanged; ${target.fix}`];
  }
  const lines = applySettings(environment, request.options);
  try {
    preload(environment);
  } catch (error) {
    return [...lines, `${(error as Error).message}; the command runs unchanged`];
  }
  const problem = reasonToRunPlain(environment, request.pid);
  if (problem) return [...lines, `${problem.reason}, so the command runs unchanged; ${problem.fix}`];
  allowFilters(environment, request.options);
  tellCosts(environment);
  return lines;
}

function planStats(file: string, request: RunRequest, environment: EnvironmentBytes, launchScript: string) {
  const path = resolve(file);
  const problem = problemWithFile(path);
  if (problem) throw new CommandError(`cannot write the counters to ${path}: ${problem}`, exitStatus.usage);
  const directory = makeRunDirectory(request.pid);
  environment.set("ZIO_STATS", directory);
  return [process.execPath, launchScript, "record", path, directory, ...request.command];
}

/**
 * Plans a run in `environment`, which it changes. `launchScript` is the entry that records the counters afterwards. Throws a
 * CommandError where the command cannot be started.
 */
export async function prepareRun(
  request: RunRequest,
  environment: EnvironmentBytes,
  launchScript: string,
): Promise<PreparedRun> {
  const path = findProgram(request.command, environment);
  const launcher = findLauncher();
  // Also where the program then runs unchanged: it shall not find files that are older than the pool.
  const lines = await preparePersistence(environment, request.options);
  lines.push(...addLibrary(path, environment, request));
  const afterwards =
    request.statsFile === undefined ? [] : planStats(request.statsFile, request, environment, launchScript);
  const plan: LaunchPlan = {
    mode: request.statsFile === undefined ? "exec" : "supervise",
    path,
    arguments: request.command,
    environment: environment.entries,
    afterwards,
  };
  return { plan, launcher, lines };
}
