// The default of ZIO_MEMORY_LIMIT follows the process's own cgroup and those above it (native/memory_limit.c).
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";
import { environment, readStatsDirectory } from "../src/index.js";
import { userfaultfdRefusal } from "./support/both-ways.js";
import { compileVictim } from "./support/compile-victim.js";

/** Runs $3 and what follows where the file $1, in a cgroup tree of nothing else, holds $2. */
const withLimit = `mount -t tmpfs none /sys/fs/cgroup && mkdir -p "\${1%/*}" && echo "$2" >"$1" || exit 99
shift 2
exec "$@"`;

const limitBytes = 8 * 1024 * 1024;

interface Hierarchy {
  root: string;
  path: string;
  file: string;
}

/** The process's cgroups that can limit memory. */
function hierarchies(): Record<string, Hierarchy> {
  const found: Record<string, Hierarchy> = {};
  for (const line of readFileSync("/proc/self/cgroup", "utf8").trim().split("\n")) {
    const [, controllers, path = "/"] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === "") found.v2 = { root: "/sys/fs/cgroup", path, file: "memory.max" };
    if (controllers?.split(",").includes("memory"))
      found.v1 = { root: "/sys/fs/cgroup/memory", path, file: "memory.limit_in_bytes" };
  }
  return found;
}

async function countersUnder(limit: string, limitFile: string): Promise<Record<string, number>> {
  const stats = await mkdtemp("/dev/shm/zio-limit-");
  onTestFinished(() => rm(stats, { recursive: true, force: true }));
  const victim = [await compileVictim("limits"), "many-buffers"];
  const preloaded = Object.entries(environment({ policy: "always", statsDirectory: stats }));
  const { status, stderr } = await runProgram("unshare", [
    ...["--mount", "sh", "-c", withLimit, "sh", limitFile, limit, "env"],
    ...preloaded.map(([name, value]) => `${name}=${value}`),
    ...victim,
  ]);
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: "" });
  return (await readStatsDirectory(stats)).totals;
}

for (const [version, { root, path, file }] of Object.entries(hierarchies()))
  test(`a quarter of what a cgroup of ${version} allows is the limit, also of one above`, async (context) => {
    const refusal = process.getuid?.() === 0 ? await userfaultfdRefusal() : "mounting a cgroup tree needs root";
    if (refusal) return context.skip(refusal);
    for (const group of new Set([path, dirname(path)])) {
      const limitFile = `${root}${group}/${file}`.replaceAll(/\/+/g, "/");
      const limited = await countersUnder(String(limitBytes), limitFile);
      expect(limited.redirectedBytes).toBeGreaterThan(0);
      expect(limited.redirectedBytes).toBeLessThanOrEqual(limitBytes / 4);
      expect(limited["fallbacks.memory-limit"]).toBeGreaterThan(0);
      const unlimited = await countersUnder("max", limitFile);
      expect(unlimited["fallbacks.memory-limit"]).toBe(0);
    }
  });
