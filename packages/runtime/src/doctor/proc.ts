// What the kernel tells about the machine and about this process, which stands for the programs it would start.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The text of a file without its last line break, or undefined where it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trimEnd();
  } catch {
    return undefined;
  }
}

export function readNumber(path: string): number | undefined {
  const text = readText(path);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** A field of /proc/self/status. */
export function statusField(name: string, status = readText("/proc/self/status") ?? ""): string | undefined {
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1];
}

/** Whether this process has a capability, by its number, in effect. */
export function hasCapability(number: number): boolean {
  const mask = BigInt(`0x${statusField("CapEff") ?? "0"}`);
  return ((mask >> BigInt(number)) & 1n) === 1n;
}

/** Whether user IDs are mapped: a container without the host's root, `unshare -U`. */
export function isInUserNamespace(map = readText("/proc/self/uid_map")): boolean {
  return map !== undefined && !/^\s*0\s+0\s+4294967295$/.test(map);
}

/** The soft limit of a row of /proc/self/limits; Infinity where it is unlimited. */
export function softLimit(row: string, limits = readText("/proc/self/limits")): number | undefined {
  const text = new RegExp(`^${row}\\s+(unlimited|\\d+)`, "m").exec(limits ?? "")?.[1];
  return text === "unlimited" ? Number.POSITIVE_INFINITY : text === undefined ? undefined : Number(text);
}

/** The limit file of a cgroup and of those above it: the smallest number in them. */
function smallestAbove(root: string, path: string, file: string): number | undefined {
  let smallest: number | undefined;
  for (let directory = path; ; directory = join(directory, "..")) {
    const value = readNumber(join(root, directory, file));
    if (value !== undefined && (smallest === undefined || value < smallest)) smallest = value;
    if (directory === "/" || directory === ".") return smallest;
  }
}

/** A limit that this process's cgroup sets, in version 2 or 1 of the hierarchy; undefined where there is none. */
export function cgroupLimit(
  controller: "memory" | "pids",
  membership = readText("/proc/self/cgroup") ?? "",
): number | undefined {
  const files = {
    memory: { v2: "memory.max", v1: "memory.limit_in_bytes" },
    pids: { v2: "pids.max", v1: "pids.max" },
  }[controller];
  const limits: number[] = [];
  for (const line of membership.split("\n")) {
    const [, controllers = "", path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const v2 = controllers === "";
    if (!v2 && !controllers.split(",").includes(controller)) continue;
    const roots = v2 ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : [`/sys/fs/cgroup/${controllers}`];
    for (const root of roots)
      limits.push(smallestAbove(root, path, v2 ? files.v2 : files.v1) ?? Number.POSITIVE_INFINITY);
  }
  const limit = Math.min(...limits);
  // Version 1 has no word for "no limit", only a number near 2^63.
  return limit < 2 ** 60 ? limit : undefined;
}

/** Bytes for people: "512 MiB". */
export function describeBytes(sizeBytes: number): string {
  if (sizeBytes === Number.POSITIVE_INFINITY) return "unlimited";
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Math.round(value * 10) / 10} ${units[unit]}`;
}
