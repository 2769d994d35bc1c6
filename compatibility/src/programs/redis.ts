// Redis's own Tcl suite of the source package, with the installed redis-server.
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { type PartResult, runParts } from "../parts.js";
import type { Context, Program } from "../program.js";

const commands = [
  "redis-server",
  "redis-cli",
  "redis-benchmark",
  "redis-check-aof",
  "redis-check-rdb",
  "redis-sentinel",
];

/** Ports for the servers of each unit that runs at a time: below those that the kernel hands out. */
const portsOfUnit = 1_500;

function prepare(context: Context, name: string): string {
  const root = join(context.directory, name);
  mkdirSync(join(root, "src"), { recursive: true });
  for (const entry of ["tests", "utils", "runtest", "redis.conf", "sentinel.conf"])
    cpSync(join(context.source("redis"), entry), join(root, entry), { recursive: true });
  for (const command of commands) symlinkSync(join("/usr/bin", command), join(root, "src", command));
  return root;
}

async function runUnit(
  context: Context,
  root: string,
  unit: string,
  firstPort: number,
  slot: number,
): Promise<PartResult> {
  const range = ["--baseport", `${firstPort + slot * portsOfUnit}`, "--portcount", `${portsOfUnit}`];
  const args = ["--clients", "1", "--durable", "--timeout", "300", ...range, "--single", unit];
  const { stdout, stderr } = await context.run("./runtest", args, { cwd: root, timeoutMs: 600_000 });
  const coloured = stdout.toString("latin1").split(String.fromCharCode(27));
  const text = coloured.map((part) => part.replace(/^\[[\d;]*m/, "")).join("");
  const passed = text.match(/^\[ok\]: /gm)?.length ?? 0;
  const failures = [...text.matchAll(/^(?:\[err\]|\[exception\]|\[timeout\]): ?(.*?)(?: in tests\S+)?$/gm)];
  const failed = [...new Set(failures.map(([, name]) => `${unit}: ${name}`))];
  const complete = text.includes(" done]: ");
  if (!complete) failed.push(`${unit} runs to its end`);
  if (failed.length > 0) {
    const end = text.indexOf("!!! WARNING");
    context.log(`${end < 0 ? text.slice(-4000) : text.slice(end)}${stderr}`);
  }
  // This unit repeats its tests as often as it can in a given time.
  const counted = unit === "integration/psync2" ? 0 : passed;
  return { checks: counted + failed.length + 1, failed, complete };
}

function suite(name: string, title: string, firstPort: number, units: readonly string[]): Program {
  return {
    name,
    title,
    what: `its own Tcl suite: ${units.join(", ")}`,
    debianPackages: ["redis-server", "redis-tools", "tcl", "procps"],
    debianSources: ["redis"],
    deadlineMs: 1_500_000,
    async run(context) {
      // Each unit that runs at a time has a directory of its own: the suite cleans up the whole of it at its end.
      const roots = [prepare(context, "redis-0"), prepare(context, "redis-1")];
      return runParts(units, (unit, slot) => runUnit(context, roots[slot]!, unit, firstPort, slot), {
        parallel: roots.length,
      });
    },
  };
}

const types = ["string", "incr", "list", "list-2", "list-3", "set", "zset", "hash", "stream", "stream-cgroups"];

export const redisPrograms: Program[] = [
  suite("redis-types", "Redis, data types", 13_000, [
    ...types.map((type) => `unit/type/${type}`),
    "unit/protocol",
    "unit/querybuf",
    "unit/dump",
    "unit/bitops",
    "unit/sort",
    "unit/scripting",
    "unit/multi",
    "unit/other",
  ]),
  suite("redis-persistence", "Redis, persistence", 16_000, [
    "unit/aofrw",
    "unit/shutdown",
    "integration/rdb",
    "integration/aof",
    "integration/aof-multi-part",
    "integration/dismiss-mem",
    "integration/corrupt-dump",
    "integration/convert-zipmap-hash-on-load",
    "integration/convert-ziplist-hash-on-load",
    "integration/convert-ziplist-zset-on-load",
  ]),
  suite("redis-replication", "Redis, replication", 19_000, [
    "integration/replication",
    "integration/replication-2",
    "integration/replication-3",
    "integration/replication-4",
    "integration/replication-psync",
    "integration/replication-buffer",
    "integration/block-repl",
    "integration/failover",
    "integration/psync2",
    "unit/wait",
  ]),
];
