// The settings of files in a pool, from options and variables: paths made absolute, what belongs together checked, and what
// the user does not set filled in. Unlike other settings a wrong one is refused: whoever asks for persistence wants it.
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { configTable, configVariable, joinPatterns, parseSize, problemWithValue } from "@zio/interpose";
import { CommandError, exitStatus } from "../exit-status.js";
import type { EnvironmentBytes } from "../run/environment-bytes.js";
import type { OptionTexts } from "../run/settings.js";
import type { PoolRequest } from "./prepare-pool.js";

export const persistenceNames: readonly string[] = configTable
  .map(({ name }) => name)
  .filter((name) => name.startsWith("ZIO_NVM"));

/** A pattern with a slash is compared with whole paths, so it becomes one; the directory's own letters mean themselves. */
export function absolutePattern(pattern: string, directory: string): string {
  if (!pattern.includes("/") || pattern.startsWith("/")) return pattern;
  const literal = directory.replaceAll(/[*?[]/g, "[$&]");
  return resolve(literal, pattern);
}

/** The patterns of a value of ZIO_NVM_FILES. */
export function splitPatterns(text: string): string[] {
  const patterns = [""];
  for (const [, escaped, character] of text.matchAll(/\\(.)|(.)/gs)) {
    if (character === ":") patterns.push("");
    else patterns.push(`${patterns.pop()}${escaped ?? character}`);
  }
  return patterns.filter(Boolean);
}

function checked(name: string, text: string, isOption: boolean): string {
  const variable = configVariable(name);
  const problem = problemWithValue(variable, text);
  if (!problem) return text;
  throw new CommandError(`${isOption ? `--${variable.option}` : name} ${problem}`, exitStatus.usage);
}

/** What a run has to do with its pool: nothing, join the tree that has it open, or prepare it. */
export interface Persistence {
  request: PoolRequest;
  joinsTree: boolean;
}

/** Writes the variables of a pool into `environment`; undefined where no pool is named. Throws a CommandError. */
export function settlePersistence(
  environment: EnvironmentBytes,
  options: OptionTexts,
  directory: string = process.cwd(),
): Persistence | undefined {
  const given = (name: string) => options[name] ?? (environment.text(name) || undefined);
  const before = environment.text("ZIO_NVM");
  const pool = given("ZIO_NVM");
  if (pool === undefined) {
    const alone = persistenceNames.find((name) => options[name] !== undefined);
    if (alone === undefined) return undefined;
    const { option } = configVariable(alone);
    throw new CommandError(`--${option} belongs to a pool; name it by --nvm`, exitStatus.usage);
  }
  const files = given("ZIO_NVM_FILES");
  if (files === undefined)
    throw new CommandError(`--nvm ${pool} is for no file; say which by --nvm-file 'PATTERN'`, exitStatus.usage);

  const path = checked("ZIO_NVM", resolve(directory, pool), options.ZIO_NVM !== undefined);
  const patterns = splitPatterns(files).map((pattern) => absolutePattern(pattern, directory));
  environment.set("ZIO_NVM", path);
  environment.set(
    "ZIO_NVM_FILES",
    checked("ZIO_NVM_FILES", joinPatterns(patterns), options.ZIO_NVM_FILES !== undefined),
  );
  const [sizeText, checksumText] = ["ZIO_NVM_SIZE", "ZIO_NVM_CHECKSUM"].map((name) => {
    const text = given(name);
    if (text === undefined) return configVariable(name).default;
    environment.set(name, checked(name, text, options[name] !== undefined));
    return text;
  }) as [string, string];
  return {
    request: { path, sizeBytes: parseSize(sizeText)!, checksumData: checksumText === "yes" },
    joinsTree: before === path && Boolean(environment.text("ZIO_NVM_TREE")),
  };
}

/** A name that no other tree has. */
export function newTree(): string {
  return `${process.pid}-${randomBytes(9).toString("hex")}`;
}
