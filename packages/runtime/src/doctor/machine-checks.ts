// The checks of the machine and of this process's limits, apart from userfaultfd itself.
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { release, totalmem } from "node:os";
import { dirname } from "node:path";
import { capabilities, seccompFilters } from "@zio/fault-handler";
import { launcherPath, libraryPath } from "@zio/interpose";
import { isPrivateDirectory, userStatsDirectory } from "../stats/directory.js";
import { type Check, good } from "./check.js";
import { checkContainer } from "./container.js";
import { cgroupLimit, describeBytes, readNumber, readText, softLimit } from "./proc.js";
import { checkSeccomp } from "./seccomp.js";

/** The first with the events of userfaultfd that zIO needs, as it needs them. */
const oldestKernel = [4, 18] as const;

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  const [major = 0, minor = 0] = version;
  return major < than[0]! || (major === than[0] && minor < than[1]!);
}

/** The check of a kernel's release name. */
export function checkKernel(name = release()): Check {
  const [id, title] = ["kernel", "Linux"];
  const version = name.split(/[.-]/).slice(0, 2).map(Number);
  if (process.platform !== "linux") {
    return { id, title, state: "missing", reason: `this is ${process.platform}`, fix: "run on Linux" };
  }
  if (isOlder(version, oldestKernel)) {
    return {
      id,
      title,
      state: "missing",
      reason: `${name} is too old`,
      fix: `use Linux ${oldestKernel.join(".")} or newer`,
    };
  }
  return good(id, title, name);
}

/** Whether every user can reach and read a file. */
export function isReadableByAll(path: string): boolean {
  const readable = (statSync(path).mode & 0o004) !== 0;
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    if ((statSync(directory).mode & 0o001) === 0) return false;
    if (directory === dirname(directory)) return readable;
  }
}

function checkLibrary(): Check {
  const [id, title] = ["library", "libzio.so"];
  const setUp = "run `npm rebuild @zio/interpose`, or `npm run setup` in a checkout";
  try {
    const path = realpathSync(libraryPath());
    if (!launcherPath()) return { id, title, state: "missing", reason: "zio-launch is not built", fix: setUp };
    if (process.geteuid?.() !== 0 || isReadableByAll(path)) return good(id, title, path);
    const reason = `${path} cannot be read by other users: programs that change their user lose it`;
    return { id, title, state: "limited", reason, fix: "install zIO outside of private directories such as /root" };
  } catch (error) {
    return { id, title, state: "missing", reason: (error as Error).message, fix: setUp };
  }
}

function checkLibc(): Check {
  const [id, title] = ["libc", "C library"];
  const report = process.report as unknown as {
    excludeNetwork?: boolean;
    getReport(): { header: { glibcVersionRuntime?: string } };
  };
  report.excludeNetwork = true; // else it asks for the names of addresses
  const version = report.getReport().header.glibcVersionRuntime;
  if (version) return good(id, title, `glibc ${version}`);
  return { id, title, state: "missing", reason: "this is not glibc", fix: "zIO needs glibc; use an image that has it" };
}

function checkMapCount(): Check {
  const [id, title] = ["map-count", "vm.max_map_count"];
  const count = readNumber("/proc/sys/vm/max_map_count");
  if (count === undefined) return { id, title, state: "unknown", reason: "it cannot be read", fix: "" };
  if (count >= 65530) return good(id, title, String(count));
  return {
    id,
    title,
    state: "limited",
    reason: `${count}: fewer buffers can be views at a time`,
    fix: "sysctl vm.max_map_count=65530",
  };
}

/** Below this a program may need the descriptors that zIO would use; the library has the same number. */
const fewestDescriptors = 64;

/** The check of a limit of open files: of the shell that started us, because Node raises it for itself. */
export function checkDescriptors(limit = descriptorLimit()): Check {
  const [id, title] = ["descriptors", "descriptors"];
  if (limit >= fewestDescriptors)
    return good(id, title, limit === Number.POSITIVE_INFINITY ? "unlimited" : `up to ${limit}`);
  return {
    id,
    title,
    state: "missing",
    reason: `only ${limit} are allowed (RLIMIT_NOFILE) and zIO stays off below ${fewestDescriptors}`,
    fix: `ulimit -n ${fewestDescriptors}, or more`,
  };
}

function descriptorLimit(): number {
  const ofShell = Number.parseInt(process.env.ZIO_OPEN_FILES ?? "", 10);
  return Number.isNaN(ofShell) ? (softLimit("Max open files") ?? Number.POSITIVE_INFINITY) : ofShell;
}

function checkProc(): Check {
  const [id, title] = ["proc", "/proc"];
  if (readText("/proc/self/maps") !== undefined) return good(id, title, "mounted");
  const reason = "it is not mounted, and only it tells what memory a buffer is";
  return { id, title, state: "missing", reason, fix: "mount -t proc proc /proc" };
}

/** Why the library stays off although userfaultfd can be had; `limits` is a table of /proc. */
export function addressSpaceProblem(
  limits = readText("/proc/self/limits"),
): { reason: string; fix: string } | undefined {
  const limit = softLimit("Max address space", limits) ?? Number.POSITIVE_INFINITY;
  if (limit !== Number.POSITIVE_INFINITY) {
    return {
      reason: `the address space is limited to ${describeBytes(limit)} (RLIMIT_AS)`,
      fix: "ulimit -v unlimited",
    };
  }
  if (readText("/proc/sys/vm/overcommit_memory") === "2") {
    return { reason: "memory is not overcommitted (vm.overcommit_memory=2)", fix: "sysctl vm.overcommit_memory=0" };
  }
  return undefined;
}

function checkAddressSpace(): Check {
  const [id, title] = ["address-space", "address space"];
  const problem = addressSpaceProblem();
  return problem ? { id, title, state: "missing", ...problem } : good(id, title, "unlimited");
}

function checkMemory(): Check {
  const allowed = cgroupLimit("memory");
  const memoryBytes = Math.min(allowed ?? Number.POSITIVE_INFINITY, totalmem());
  const [id, title] = ["memory", "memory"];
  const whose = allowed !== undefined && allowed < totalmem() ? "by the cgroup" : "of the machine";
  return good(
    id,
    title,
    `${describeBytes(memoryBytes)} ${whose}; origins take at most a quarter, unless ZIO_MEMORY_LIMIT says else`,
  );
}

function checkThreads(): Check {
  const [id, title] = ["threads", "threads"];
  const limit = Math.min(
    softLimit("Max processes") ?? Number.POSITIVE_INFINITY,
    cgroupLimit("pids") ?? Number.POSITIVE_INFINITY,
  );
  if (limit >= 64) return good(id, title, limit === Number.POSITIVE_INFINITY ? "unlimited" : `up to ${limit}`);
  return {
    id,
    title,
    state: "limited",
    reason: `only ${limit} are allowed and zIO needs one in each process`,
    fix: "ulimit -u, or pids.max of the cgroup",
  };
}

function checkCounters(): Check {
  const [id, title] = ["counters", "counters"];
  const directory = userStatsDirectory();
  if (isPrivateDirectory(directory)) return good(id, title, directory);
  try {
    accessSync("/dev/shm", constants.W_OK);
    return good(id, title, `${directory} will be made`);
  } catch {
    return {
      id,
      title,
      state: "limited",
      reason: "/dev/shm cannot be written: no live counters",
      fix: "mount a tmpfs on /dev/shm, or set ZIO_STATS to a directory",
    };
  }
}

/** Everything but userfaultfd, in the order for people. */
export function machineChecks(): { before: Check[]; after: Check[] } {
  return {
    before: [checkKernel(), checkLibc(), checkLibrary(), checkProc()],
    after: [
      checkContainer(capabilities()),
      checkSeccomp(seccompFilters()),
      checkMapCount(),
      checkAddressSpace(),
      checkMemory(),
      checkThreads(),
      checkDescriptors(),
      checkCounters(),
    ],
  };
}
