// The path under which libzio.so goes into LD_PRELOAD. The dynamic loader splits that variable at spaces and colons and
// expands `$`: a library in a directory with such a name is reached through a link in a directory that only this user
// can write.
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platformProblem, ZioError } from "@zio/core";
import { builtDirectories, builtFile } from "./built-file.js";

const splitByLoader = /[\s:$]/;

/** The preload library as it lies in this package. */
export function libraryPath(): string {
  const problem = platformProblem();
  if (problem) throw new ZioError(`${problem.reason}; ${problem.fix}`, { code: "UNSUPPORTED_PLATFORM" });
  const path = builtFile("libzio.so");
  if (path === undefined) {
    throw new ZioError(`libzio.so is not there; build @zio/interpose (looked in ${builtDirectories.join(" and ")})`, {
      code: "ENOENT",
      syscall: "access",
    });
  }
  return path;
}

/** The program that `zio run` becomes before it becomes the command; undefined where it was not built. */
export function launcherPath(): string | undefined {
  return builtFile("zio-launch");
}

/** One of the demo's programs, or undefined where it was not built. */
export function demoProgramPath(name: "zio-echo-server" | "zio-echo-client"): string | undefined {
  return builtFile(name);
}

/** The programs that benchmarks run beside those of the demo. */
export type BenchProgram =
  | "zio-load-client"
  | "zio-file-server"
  | "zio-spawn-timer"
  | "zio-primitives"
  | "libzio-bounds.so";

/** One of the programs that benchmarks run, those of the demo among them, or undefined where it was not built. */
export function benchProgramPath(name: BenchProgram | Parameters<typeof demoProgramPath>[0]): string | undefined {
  return builtFile(name);
}

// Links need no file system that allows programs, as /dev/shm in a container often does not. Others may read the
// directory: a program that changes its user still has the path in its environment.
function privateDirectory(parent: string, userId: number): string | undefined {
  const path = join(parent, `zio-library-${userId}`);
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return undefined;
  }
  const status = lstatSync(path);
  const trusted = status.isDirectory() && status.uid === userId && (status.mode & 0o022) === 0;
  return trusted ? path : undefined;
}

function linkTo(target: string, directory: string): string {
  const link = join(directory, `libzio-${createHash("sha256").update(target).digest("hex").slice(0, 16)}.so`);
  try {
    if (readlinkSync(link) === target) return link;
  } catch {
    // Not there yet.
  }
  const scratch = `${link}.${process.pid}`;
  rmSync(scratch, { force: true });
  symlinkSync(target, scratch);
  renameSync(scratch, link);
  return link;
}

/** Where links to libraries may lie, the preferred first. */
function linkParents(): string[] {
  return ["/dev/shm", "/tmp", tmpdir(), process.env.XDG_RUNTIME_DIR ?? ""].filter(
    (parent) => parent.startsWith("/") && !splitByLoader.test(parent),
  );
}

/**
 * A path of `library` that the dynamic loader takes as one word: the path itself, or a link to it in a directory of this
 * user. Throws a ZioError where no such directory can be had.
 */
export function preloadablePath(library: string, parents: readonly string[] = linkParents()): string {
  if (!splitByLoader.test(library)) return library;
  const userId = process.geteuid?.() ?? 0;
  for (const parent of parents) {
    try {
      const directory = privateDirectory(parent, userId);
      if (directory !== undefined) return linkTo(library, directory);
    } catch {
      // The next directory may do.
    }
  }
  throw new ZioError(
    `LD_PRELOAD cannot name "${library}", and no directory for a link to it can be had in ${parents.join(", ")}; ` +
      `move it to a path without spaces, colons and dollar signs`,
    { code: "EACCES", syscall: "symlink" },
  );
}
