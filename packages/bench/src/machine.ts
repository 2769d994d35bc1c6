// Facts of the machine that a record carries, and the choice of cores for the two ends of a benchmark.
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

export interface MachineFacts {
  cpuModel: string;
  cores: number;
  architecture: string;
  memoryBytes: number;
  kernel: string;
  distribution: string;
  /** The word in brackets of transparent_hugepage/enabled. */
  transparentHugePages: string;
  nodeVersion: string;
  /** Of the last minute, when the run started: other work on the machine disturbs a measurement. */
  loadAverage: number;
}

export interface CpuPair {
  server: number;
  client: number;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

export function machineFacts(): MachineFacts {
  return {
    cpuModel: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    architecture: process.arch,
    memoryBytes: totalmem(),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(textOf("/etc/os-release"))?.[1] ?? "unknown",
    transparentHugePages: /\[(\w+)\]/.exec(textOf("/sys/kernel/mm/transparent_hugepage/enabled"))?.[1] ?? "unknown",
    nodeVersion: process.version,
    loadAverage: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** The numbers in a kernel list such as `0-3,8`. */
export function parseCpuList(list: string): number[] {
  return list
    .split(",")
    .filter((part) => part.trim() !== "")
    .flatMap((part) => {
      const [from = 0, to = from] = part.split("-").map(Number);
      return Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });
}

/** Two cores for the ends of a benchmark, not hyper-threads of one where that can be had; undefined with one core. */
export function chooseCpus(): CpuPair | undefined {
  const allowed = parseCpuList(/^Cpus_allowed_list:\s*(.*)$/m.exec(textOf("/proc/self/status"))?.[1] ?? "");
  const server = allowed.at(-1);
  if (server === undefined || allowed.length < 2) return undefined;
  const topology = `/sys/devices/system/cpu/cpu${server}/topology`;
  const siblings = parseCpuList(textOf(`${topology}/thread_siblings_list`));
  const samePackage = parseCpuList(textOf(`${topology}/package_cpus_list`));
  const others = allowed.filter((cpu) => cpu !== server).reverse();
  const apart = others.filter((cpu) => !siblings.includes(cpu));
  const client = apart.find((cpu) => samePackage.includes(cpu)) ?? apart[0] ?? others[0]!;
  return { server, client };
}
