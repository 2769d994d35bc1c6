// What zIO needs of a platform, before anything native is loaded.
import { closeSync, openSync, readSync } from "node:fs";

/** What this process runs on. */
export interface Platform {
  /** As `process.platform`. */
  os: string;
  /** As `process.arch`. */
  arch: string;
  /** The C library that Node itself uses. */
  libc: "glibc" | "musl" | "unknown";
}

export interface PlatformProblem {
  reason: string;
  fix: string;
}

/** An executable names its dynamic loader in its first bytes, as a rule; the loader is a part of the C library. */
function libcOfProgram(path: string): Platform["libc"] {
  try {
    const fd = openSync(path, "r");
    const start = Buffer.alloc(4096);
    const length = readSync(fd, start);
    closeSync(fd);
    const loader = /\/(ld-linux|ld64\.so|ld-musl)[^\0/]*\0/.exec(start.toString("latin1", 0, length))?.[1];
    if (loader !== undefined) return loader === "ld-musl" ? "musl" : "glibc";
  } catch {
    // Ask another way.
  }
  const report = process.report as unknown as
    | { excludeNetwork?: boolean; getReport(): { header: { glibcVersionRuntime?: string } } }
    | undefined;
  if (report === undefined) return "unknown";
  report.excludeNetwork = true; // else it asks for the names of addresses
  return report.getReport().header.glibcVersionRuntime ? "glibc" : "unknown";
}

export function thisPlatform(): Platform {
  const { platform: os, arch, execPath } = process;
  return { os, arch, libc: os === "linux" ? libcOfProgram(execPath) : "unknown" };
}

/** Why zIO cannot work on a platform, this one unless told; undefined where it can. */
export function platformProblem(platform: Platform = thisPlatform()): PlatformProblem | undefined {
  const { os, arch, libc } = platform;
  if (os !== "linux") return { reason: `zIO needs Linux, and this is ${os}`, fix: "run it on Linux" };
  if (arch !== "x64" && arch !== "arm64")
    return { reason: `zIO needs x86-64 or arm64, and this is ${arch}`, fix: "run it on such a machine" };
  if (libc === "glibc") return undefined;
  const found = libc === "musl" ? "musl" : "another C library";
  return { reason: `zIO needs glibc, and this Node uses ${found}`, fix: "use an image with glibc, such as Debian's" };
}
