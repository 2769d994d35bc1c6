// Compiles test/victims/NAME.c or NAME.cc. Copies must stay calls, so the compiler's own versions are off unless the first line of
// a victim asks for other flags, for example: /* flags: -O2 -march=native */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileC } from "@zio/test-support";

const victimsDirectory = join(dirname(fileURLToPath(import.meta.url)), "../victims");
const defaultFlags = "-O2 -fno-builtin";

/** test/victims/NAME.c */
export const victimSource = (name: string) => join(victimsDirectory, `${name}.c`);

/** The path of the compiled victim. */
export function compileVictim(name: string): Promise<string> {
  const plain = victimSource(name);
  const source = existsSync(plain) ? plain : `${plain}c`;
  const flags = /^\/\* flags: (.*?) \*\//.exec(readFileSync(source, "utf8"))?.[1] ?? defaultFlags;
  const libs = source === plain ? [] : ["stdc++"];
  return compileC({ sources: [source], flags: flags.split(/\s+/), libs });
}

/** The path of test/victims/libraries/NAME.c as a shared object. */
export function compileVictimLibrary(name: string): Promise<string> {
  const source = join(victimsDirectory, "libraries", `${name}.c`);
  return compileC({ sources: [source], flags: [...defaultFlags.split(" "), "-shared", "-fPIC"] });
}
