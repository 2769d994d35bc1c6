// The environment of a program under zIO: LD_PRELOAD and a variable for each setting that is not left to its default.
import { ZioError } from "@zio/core";
import { allowedSeccompFilters } from "@zio/fault-handler";
import { type ConfigVariable, formatSize, problemWithValue } from "./config.js";
import { configTable, type Settings } from "./config-table.js";
import { libraryPath, preloadablePath } from "./library-path.js";

export interface EnvironmentOptions extends Settings {
  /** The environment that is added to: its LD_PRELOAD is kept, after ours. This process's unless told. */
  base?: NodeJS.ProcessEnv | undefined;
  /** Another libzio.so than the one of this package. */
  library?: string | undefined;
}

/** Patterns as ZIO_NVM_FILES holds them: a colon separates, a backslash takes the meaning from the next character. */
export function joinPatterns(patterns: readonly string[]): string {
  return patterns.map((pattern) => pattern.replaceAll(/[\\:]/g, "\\$&")).join(":");
}

function textOf(variable: ConfigVariable, value: NonNullable<Settings[keyof Settings]>): string {
  if (Array.isArray(value)) return variable.type === "patterns" ? joinPatterns(value) : value.join(",");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "object")
    return Object.entries(value)
      .map(([word, number]) => `${word}=${number}`)
      .join(",");
  return typeof value === "number" ? formatSize(value) : value;
}

/** `preload` with `library` in front, once. The loader splits at spaces and colons; other libraries keep their order. */
export function preloadWith(library: string, preload: string | undefined): string {
  const others = (preload ?? "").split(/[ :]+/).filter((entry) => entry !== "" && entry !== library);
  return [library, ...others].join(":");
}

/** The variables of the given settings alone. Throws a ZioError for a value the library would not take. */
export function settingVariables(settings: Settings): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const variable of configTable as readonly ConfigVariable[]) {
    const value = settings[variable.property];
    if (value === undefined) continue;
    const text = textOf(variable, value);
    const problem = problemWithValue(variable, text);
    if (problem) throw new ZioError(`${variable.property} ${problem}`, { code: "EINVAL" });
    variables[variable.name] = text;
  }
  return variables;
}

/** The variables to add to a program's environment so that it runs under zIO. */
export function environment(options: EnvironmentOptions = {}): Record<string, string> {
  const { base = process.env, library = libraryPath() } = options;
  return {
    LD_PRELOAD: preloadWith(preloadablePath(library), base.LD_PRELOAD),
    ...settingVariables({ seccompFilters: allowedSeccompFilters(), ...options }),
  };
}
