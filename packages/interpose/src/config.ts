// What a setting of zIO is and which texts it takes. The same rules as the C library's, which falls back silently: here
// a bad value gets its sentence.
import { configTable, type Settings } from "./config-table.js";

/** A row of config.json, as `configTable` has it. */
export interface ConfigVariable {
  /** The environment variable. */
  readonly name: `ZIO_${string}`;
  readonly identifier: string;
  /** The property of `Settings`. */
  readonly property: keyof Settings;
  /** The option of `zio run`, without its dashes. */
  readonly option: string;
  readonly type: "enum" | "size" | "count" | "path" | "file" | "text" | "patterns" | "list" | "numbers" | "flag";
  /** Set by `zio run` itself: no option for users. */
  readonly internal?: boolean;
  /** Absent: the option stands alone, and says the opposite of the default. */
  readonly placeholder?: string;
  /** Empty: unset. */
  readonly default: string;
  readonly meaning: string;
  /** Where the option takes something else than the variable. */
  readonly optionMeaning?: string;
  readonly values?: readonly { readonly word: string; readonly number?: number; readonly meaning: string }[];
  readonly min?: string;
  readonly max?: string;
  readonly minBytes?: number;
  readonly maxBytes?: number;
}

const unitBytes = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** The bytes that "16K", "1M" or "4096" mean, or undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15})([KMG]?)$/i.exec(text);
  if (!match) return undefined;
  const sizeBytes = Number(match[1]) * unitBytes[match[2]?.toUpperCase() as keyof typeof unitBytes];
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

/** The shortest text that `parseSize` reads as `sizeBytes`. */
export function formatSize(sizeBytes: number): string {
  for (const unit of ["G", "M", "K"] as const) {
    if (sizeBytes > 0 && sizeBytes % unitBytes[unit] === 0) return `${sizeBytes / unitBytes[unit]}${unit}`;
  }
  return String(sizeBytes);
}

/** The variable of that name; throws where there is none. */
export function configVariable(name: string): ConfigVariable {
  const variable: ConfigVariable | undefined = configTable.find((row) => row.name === name);
  if (!variable) throw new RangeError(`zIO has no setting ${name}`);
  return variable;
}

/** What a setting takes, as in "one of always, learn, off, paper". */
export function describeValues(variable: ConfigVariable): string {
  const words = variable.values?.map(({ word }) => word).join(", ");
  if (variable.type === "enum") return `one of ${words}`;
  if (variable.type === "list") return `a list, separated by commas, of ${words}`;
  if (variable.type === "numbers") {
    return `word=number, separated by commas, each from ${variable.min} to ${variable.max}, with the words ${words}`;
  }
  if (variable.type === "count") return `a number from ${variable.min} to ${variable.max}`;
  if (variable.type === "size") return `a size from ${variable.min} to ${variable.max} (K, M and G are binary)`;
  if (variable.type === "file") return "an absolute path of at most 511 bytes";
  if (variable.type === "patterns") return "patterns, separated by colons, of at most 4095 bytes together";
  if (variable.type === "text") return "a text of at most 4095 bytes";
  return variable.type === "flag" ? "yes or no" : "a path";
}

/** Why the library would not take `text`, as the end of a sentence that begins with the name; undefined where it does. */
export function problemWithValue(variable: ConfigVariable, text: string): string | undefined {
  const words = variable.values?.map(({ word }) => word) ?? [];
  const good = {
    enum: () => words.includes(text),
    numbers: () =>
      text === "" ||
      text.split(",").every((part) => {
        const [, word = "", digits] = /^([a-z-]+)=(\d{1,9})$/.exec(part) ?? [];
        return words.includes(word) && Number(digits) <= (variable.maxBytes ?? Number.MAX_SAFE_INTEGER);
      }),
    list: () => text === "" || text.split(",").every((word) => words.includes(word)),
    count: () => /^\d{1,9}$/.test(text) && Number(text) <= (variable.maxBytes ?? Number.MAX_SAFE_INTEGER),
    path: () => text !== "" && !text.includes("\0"),
    file: () => text.startsWith("/") && !text.includes("\0") && Buffer.byteLength(text) < 512,
    text: () => !text.includes("\0") && Buffer.byteLength(text) < 4096,
    patterns: () => text !== "" && !text.includes("\0") && Buffer.byteLength(text) < 4096,
    flag: () => text === "yes" || text === "no",
    size: () => {
      const sizeBytes = parseSize(text);
      if (sizeBytes === undefined) return false;
      const inside =
        sizeBytes >= (variable.minBytes ?? 0) && sizeBytes <= (variable.maxBytes ?? Number.MAX_SAFE_INTEGER);
      return inside || sizeBytes === parseSize(variable.default);
    },
  }[variable.type]();
  return good ? undefined : `takes ${describeValues(variable)}, not "${text}"`;
}
