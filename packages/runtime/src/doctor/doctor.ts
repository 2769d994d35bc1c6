// Answers whether zIO can work here, and for a program whether it can be preloaded into that.
import { platformProblem } from "@zio/core";
import { inspectTarget } from "../target/inspect-target.js";
import { resolveCommand } from "../target/resolve-command.js";
import type { Check } from "./check.js";
import { machineChecks } from "./machine-checks.js";
import { persistenceChecks } from "./persistence.js";
import { userfaultfdChecks } from "./userfaultfd.js";

export interface Diagnosis {
  version: 1;
  /** Whether programs started here have their copies elided; with a command, that one. */
  works: boolean;
  checks: Check[];
}

function targetCheck(command: string): Check {
  const [id, title] = ["target", command];
  const searchPath = process.env.PATH === undefined ? undefined : Buffer.from(process.env.PATH);
  const resolution = resolveCommand(Buffer.from(command), searchPath);
  if (!resolution.found)
    return { id, title, state: "missing", reason: resolution.reason, fix: "name a program that is there" };
  const target = inspectTarget(resolution.path, searchPath);
  if (!target.preloadable) return { id, title, state: "missing", reason: target.reason, fix: target.fix };
  const through = target.interpreters.length > 0 ? ` (a script for ${target.interpreters.join(", ")})` : "";
  const loader = target.loader ? `, loaded by ${target.loader}` : "";
  return { id, title, state: "ok", reason: `${target.path}${through}${loader}`, fix: "" };
}

/** On another platform there is one thing to say, and no /proc to ask. */
function checksOfThisMachine(): Check[] {
  const problem = platformProblem();
  if (problem) return [{ id: "platform", title: "platform", state: "missing", ...problem }];
  const { before, after } = machineChecks();
  return [...before, ...userfaultfdChecks(), ...after, ...persistenceChecks()];
}

/** Examines this machine and, where one is named, a program. */
export function doctor(command?: string): Diagnosis {
  const checks = checksOfThisMachine();
  if (command !== undefined && !platformProblem()) checks.push(targetCheck(command));
  return { version: 1, works: checks.every(({ state }) => state !== "missing"), checks };
}
