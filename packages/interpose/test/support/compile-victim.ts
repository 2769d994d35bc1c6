// Compiles test/victims/NAME.c. Copies must stay calls, so the compiler's own versions are off unless the first line of
// a victim asks for other flags, for example: /* flags: -O2 -march=native */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileC } from "@zio/test-support";

const victimsDirectory = join(dirname(fileURLToPath(import.meta.url)), "../victims");
const defaultFlags = "-O2 -fno-builtin";

/** The path of the compiled victim. */
export function compileVictim(name: string): Promise<string> {
  const source = join(victimsDirectory, `${name}.c`);
  const flags = /^\/\* flags: (.*?) \*\//.exec(readFileSync(source, "utf8"))?.[1] ?? defaultFlags;
  return compileC({ sources: [source], flags: flags.split(/\s+/) });
}
