// Whether libzio.so can be preloaded into a program, and if not why and what to do. A wrong "yes" would put messages of
// the dynamic loader on the program's stderr; a wrong "no" only loses the speed.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { basename } from "node:path";
import { launcherPath } from "@zio/interpose";
import { type ElfFile, machineName, readFileStart } from "./elf.js";
import { resolveCommand } from "./resolve-command.js";

export type TargetProblem =
  | "static"
  | "other-libc"
  | "other-architecture"
  | "set-user-id"
  | "file-capabilities"
  | "sanitised"
  | "interpreter-missing";

/** What was found out about a program. `interpreters` are those of scripts, outermost first. */
export type Target =
  | { preloadable: true; path: string; interpreters: string[]; loader: string | undefined }
  | {
      preloadable: false;
      path: string;
      interpreters: string[];
      problem: TargetProblem;
      /** As in "ls is linked statically". */
      reason: string;
      fix: string;
    };

/** The kernel follows no deeper chain of scripts. */
const deepestScript = 5;
const setUserId = 0o4000;
const setGroupId = 0o2000;
const groupExecutable = 0o010;

/** The architecture of this Node, which is that of the library beside it. */
const ownMachines: Record<string, { machine: number; bits: 32 | 64 }> = {
  x64: { machine: 62, bits: 64 },
  arm64: { machine: 183, bits: 64 },
  riscv64: { machine: 243, bits: 64 },
  ppc64: { machine: 21, bits: 64 },
  s390x: { machine: 22, bits: 64 },
  loong64: { machine: 258, bits: 64 },
};

interface Verdict {
  problem: TargetProblem;
  reason: string;
  fix: string;
}

function elfVerdict(name: string, elf: ElfFile): Verdict | undefined {
  const own = ownMachines[process.arch];
  if (own && (elf.machine !== own.machine || elf.bits !== own.bits)) {
    return {
      problem: "other-architecture",
      reason: `${name} is a ${elf.bits}-bit program for ${machineName(elf.machine)}`,
      fix: `use its build for ${machineName(own.machine)}`,
    };
  }
  // The loader itself, run by name, has no interpreter but preloads all the same.
  const loader = elf.interpreter === undefined ? name : basename(elf.interpreter);
  if (/^(ld-linux|ld64\.so|ld-\d|ld\.so)/.test(loader)) return undefined;
  if (elf.interpreter === undefined) {
    return { problem: "static", reason: `${name} is linked statically`, fix: "use a dynamically linked build of it" };
  }
  const libc = /musl/.test(loader) ? "musl" : /^linker/.test(loader) ? "Android's libc" : `the loader ${loader}`;
  return { problem: "other-libc", reason: `${name} uses ${libc}, not glibc`, fix: "use a build of it for glibc" };
}

const sanitizers: Record<string, string> = {
  asan: "AddressSanitizer",
  tsan: "ThreadSanitizer",
  lsan: "LeakSanitizer",
  hwasan: "HWAddressSanitizer",
  msan: "MemorySanitizer",
};

/** The sanitizer whose runtime a shared object is, by its name: of gcc (libasan.so.8), or of clang (libclang_rt.asan.so). */
function sanitizerOf(library: string): string | undefined {
  const match = /^lib(?:clang_rt\.)?(asan|tsan|lsan|hwasan|msan)(?![a-z])[^/]*\.so/.exec(basename(library));
  return match?.[1] && sanitizers[match[1]];
}

// These runtimes hook what we hook and must come first: AddressSanitizer ends a program in which another library does,
// ThreadSanitizer crashes. Linked statically they do no harm (and zIO is off).
function sanitizerVerdict(name: string, libraries: readonly string[]): Verdict | undefined {
  for (const library of libraries) {
    const sanitizer = sanitizerOf(library);
    if (!sanitizer) continue;
    return {
      problem: "sanitised",
      reason: `${name} loads ${sanitizer} (${basename(library)}), which must come before any other library`,
      fix: "use a build of it without",
    };
  }
  return undefined;
}

// In secure execution the loader ignores LD_PRELOAD. It is not secure where nothing is gained.
function privilegeVerdict(name: string, path: Buffer): Verdict | undefined {
  const { mode, uid, gid } = statSync(path);
  const gainsUser = (mode & setUserId) !== 0 && uid !== process.geteuid?.();
  const gainsGroup = (mode & setGroupId) !== 0 && (mode & groupExecutable) !== 0 && gid !== process.getegid?.();
  if (gainsUser || gainsGroup) {
    return {
      problem: "set-user-id",
      reason: `${name} changes its ${gainsUser ? "user" : "group"} when it starts (set-${gainsUser ? "user" : "group"}-ID)`,
      fix: "run zio as the user that it changes to",
    };
  }
  if (process.geteuid?.() !== 0 && hasFileCapabilities(path)) {
    return {
      problem: "file-capabilities",
      reason: `${name} gains capabilities when it starts (setcap)`,
      fix: "give the capabilities by other means, such as systemd's AmbientCapabilities",
    };
  }
  return undefined;
}

function hasFileCapabilities(path: Buffer): boolean {
  const launcher = launcherPath();
  if (launcher === undefined) return false;
  return spawnSync(launcher, ["--has-file-capabilities", path.toString()], { stdio: "ignore" }).status === 0;
}

/** `env NAME` in an interpreter line stands for NAME. */
function programOfEnv(argument: string | undefined): string | undefined {
  const words = (argument ?? "").replace(/^(-S|--split-string=?)\s*/, "").split(/\s+/);
  return words.find((word) => word !== "" && !word.startsWith("-") && !word.includes("="));
}

function find(name: string, searchPath: Buffer | undefined) {
  const resolution = resolveCommand(Buffer.from(name), searchPath);
  return { name, path: resolution.found ? resolution.path : undefined };
}

function findInterpreter(interpreter: string, argument: string | undefined, searchPath: Buffer | undefined) {
  const program = basename(interpreter) === "env" ? programOfEnv(argument) : undefined;
  const byEnv = program === undefined ? undefined : find(program, searchPath);
  // A missing program is then env's to report.
  return byEnv?.path ? byEnv : find(interpreter, searchPath);
}

/**
 * Inspects the program at `path`; `searchPath` is the PATH that an interpreter line with env goes by, `preloaded` the
 * value of LD_PRELOAD that it is to have besides.
 */
export function inspectTarget(path: Buffer, searchPath: Buffer | undefined, preloaded = ""): Target {
  const interpreters: string[] = [];
  const base = { path: path.toString(), interpreters };
  let current = path;
  for (let depth = 0; depth <= deepestScript; depth++) {
    const name = basename(current.toString());
    let start: ReturnType<typeof readFileStart>;
    try {
      start = readFileStart(current);
    } catch {
      // Executable but not readable: the kernel will run it, and nothing speaks against it.
      return { ...base, preloadable: true, loader: undefined };
    }
    if (start.kind === "script") {
      const next = findInterpreter(start.interpreter, start.argument, searchPath);
      interpreters.push(next.name);
      if (next.path) {
        current = next.path;
        continue;
      }
      const reason = `${name} needs the interpreter ${next.name}, which is not there`;
      return {
        ...base,
        preloadable: false,
        problem: "interpreter-missing",
        reason,
        fix: "install it, or correct the script's first line",
      };
    }
    // Neither ELF nor script: /bin/sh runs it, as execvp has it, or a format that the kernel was taught.
    const elf = start.kind === "elf" ? start.elf : undefined;
    const libraries = [...preloaded.split(/[ :]/), ...(elf?.needed ?? [])];
    const verdict =
      (elf && elfVerdict(name, elf)) ?? privilegeVerdict(name, current) ?? sanitizerVerdict(name, libraries);
    if (verdict) return { ...base, preloadable: false, ...verdict };
    return { ...base, preloadable: true, loader: elf?.interpreter };
  }
  return { ...base, preloadable: true, loader: undefined };
}
