// Compiles the C programs of tests. Owns a cache under build/c of the checkout, named by the preprocessed sources, so that
// a program is compiled again only when it, one of its headers, a flag or the compiler changed.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);
const cacheDirectory = fileURLToPath(new URL("../../build/c", import.meta.url));
const compiler = process.env.CC || "cc";

export type Sanitizer = "address" | "undefined" | "thread";

export interface CompileOptions {
  /** The C files, or the C++ files (.cc), and objects of this function's; one program or one shared object comes out. */
  sources: string[];
  /** Directories for `#include`. */
  includes?: string[];
  /** Further compiler and linker flags; `-shared` and `-fPIC` make a shared object. */
  flags?: string[];
  sanitizers?: Sanitizer[];
  /** Names as for `-l`. */
  libs?: string[];
}

/** Compiles with warnings as errors and returns the path of the program; rejects with the compiler's messages. */
export async function compileC(options: CompileOptions): Promise<string> {
  const { sources, includes = [], flags = [], sanitizers = [], libs = [] } = options;
  const compileFlags = [
    sources.every((source) => source.endsWith(".cc")) ? "-std=c++17" : "-std=c17",
    "-D_GNU_SOURCE",
    "-g",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pthread",
    ...(sanitizers.length > 0
      ? [`-fsanitize=${sanitizers.join(",")}`, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
      : []),
    ...includes.flatMap((directory) => ["-I", directory]),
    ...flags,
  ];
  const libraryFlags = libs.map((name) => `-l${name}`);
  const first = sources[0];
  if (first === undefined) throw new Error("compileC: no sources");

  // Objects that were compiled here are named by what they were made of.
  const [texts, objects] = [sources.filter(isText), sources.filter((source) => !isText(source))];
  const settings = [compileFlags, libraryFlags, objects, await compilerVersion()];
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const preprocessed of await Promise.all(texts.map((source) => runCompiler(["-E", ...compileFlags, source])))) {
    hash.update(preprocessed);
  }
  const directory = join(cacheDirectory, hash.digest("hex").slice(0, 24));
  const name = basename(first, extname(first)) + (flags.includes("-shared") ? ".so" : "");
  const program = join(directory, name);
  if (existsSync(program)) return program;

  // Another worker may be compiling the same: each builds apart, the last rename wins.
  await mkdir(directory, { recursive: true });
  const scratch = await mkdtemp(join(directory, "tmp-"));
  try {
    await runCompiler([...compileFlags, ...sources, "-o", join(scratch, name), ...libraryFlags]);
    await rename(join(scratch, name), program);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return program;
}

const isText = (source: string) => /\.(c|cc|S)$/.test(source);

async function runCompiler(args: string[]): Promise<string> {
  const [command = "cc", ...first] = compiler.split(" ");
  try {
    const { stdout } = await execFileAsync(command, [...first, ...args], { maxBuffer: 1 << 28 });
    return stdout;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`${command} failed\n${stderr ?? ""}`, { cause: error });
  }
}

let version: Promise<string> | undefined;

function compilerVersion(): Promise<string> {
  version ??= runCompiler(["--version"]);
  return version;
}
