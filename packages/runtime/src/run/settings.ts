// The settings of a run: each from its option, else from its variable. What the library would not take is reported in a
// line and left out, so that the default is used.
import { accessSync, closeSync, constants, openSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { type ConfigVariable, configTable, problemWithValue } from "@zio/interpose";
import { persistenceNames } from "../persistence/persistence-settings.js";
import type { EnvironmentBytes } from "./environment-bytes.js";

/** Options by the name of their variable, as they were typed. */
export type OptionTexts = Partial<Record<string, string>>;

interface Settled {
  /** undefined: not set. */
  text: string | undefined;
  problem: string | undefined;
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const reasons: Record<string, string> = {
    ENOENT: "there is no such directory",
    EACCES: "permission denied",
    EISDIR: "it is a directory",
    ENOTDIR: "part of its path is not a directory",
    EROFS: "the file system is read-only",
  };
  return reasons[code ?? ""] ?? (error as Error).message;
}

/** Why `path` cannot be written; the file is made where it is not there yet. */
export function problemWithFile(path: string): string | undefined {
  try {
    closeSync(
      openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK, 0o666),
    );
    return undefined;
  } catch (error) {
    // A pipe that nobody reads yet.
    return (error as NodeJS.ErrnoException).code === "ENXIO" ? undefined : reasonOf(error);
  }
}

function problemWithDirectory(path: string): string | undefined {
  try {
    if (!statSync(path).isDirectory()) return "it is not a directory";
    accessSync(path, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

function settlePath(variable: ConfigVariable, text: string): Settled {
  if (variable.name === "ZIO_LOG" && text === "stderr") return { text, problem: undefined };
  const path = resolve(text);
  const problem = variable.name === "ZIO_STATS" ? problemWithDirectory(path) : problemWithFile(path);
  return problem ? { text: undefined, problem: `cannot use ${path}: ${problem}` } : { text: path, problem };
}

function settle(variable: ConfigVariable, text: string): Settled {
  const problem = problemWithValue(variable, text);
  if (problem) return { text: undefined, problem };
  return variable.type === "path" ? settlePath(variable, text) : { text, problem: undefined };
}

/** Writes the settings into `environment`, less those of a pool, and returns a line for each that was refused. */
export function applySettings(environment: EnvironmentBytes, options: OptionTexts): string[] {
  const lines: string[] = [];
  for (const variable of configTable as readonly ConfigVariable[]) {
    if (persistenceNames.includes(variable.name)) continue;
    const option = options[variable.name];
    const given = option ?? environment.text(variable.name);
    if (given === undefined || (option === undefined && given === "")) continue;
    const { text, problem } = settle(variable, given);
    if (problem) {
      const source = option === undefined ? variable.name : `--${variable.option}`;
      lines.push(`${source} ${problem}; ${variable.default ? `using ${variable.default}` : "doing without"}`);
    }
    if (text === undefined) environment.delete(variable.name);
    else environment.set(variable.name, text);
  }
  return lines;
}
