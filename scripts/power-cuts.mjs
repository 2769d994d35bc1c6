// Cuts the power of an emulated machine (QEMU, with a persistent memory module of its own) at random moments, starts it anew,
// and looks whether what was acknowledged over its serial line is there, and nothing else but what came next.
// `--cycles N` (3), `--workload records,redis`, `--seed N`, `--verbose`. Where the tools are missing it says so and ends with 77.
// Debian: apt-get install qemu-system-x86 ndctl e2fsprogs
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { unpackDebian } from "./arm64/debian.mjs";
import { root, toolsDirectory } from "./environment.mjs";
import { makeInitramfs } from "./power-cuts/guest.mjs";
import { Machine } from "./power-cuts/machine.mjs";
import { Records } from "./power-cuts/records.mjs";
import { Redis } from "./power-cuts/redis.mjs";
import { setUpOrExit } from "./setup.mjs";

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "3" },
    workload: { type: "string", default: "records,redis" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    verbose: { type: "boolean", default: false },
  },
});
const cycles = Number(values.cycles);
const workloads = { records: Records, redis: Redis };
/** With so many cycles on one pair of file systems they do not become full. */
const cyclesOfMachine = 10;
const startSeconds = 120;

const progress = (text) => process.stderr.write(`zio: power cuts: ${text}\n`);

function skip(reason) {
  progress(`skipped: ${reason}`);
  process.exit(77);
}

function findTools() {
  if (process.arch !== "x64") skip("this is not x86-64");
  for (const [tool, debian] of [
    ["qemu-system-x86_64", "qemu-system-x86"],
    ["ndctl", "ndctl"],
    ["apt-get", "apt"],
    ["cc", "gcc"],
    ["redis-server", "redis-server"],
  ])
    if (spawnSync(tool, ["--version"]).error) skip(`there is no ${tool} (Debian: ${debian})`);
  try {
    return unpackDebian(join(toolsDirectory, "power-cuts"), "amd64", ["linux-image-cloud-amd64", "busybox-static"]);
  } catch (error) {
    skip(`Debian's kernel cannot be had: ${error.message}`);
  }
}

/** Numbers from 0 to 1 that a seed repeats. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

function checkLines(machine) {
  const problem = machine.lines.find((line) => /^zio-(problem|wrong)/.test(line));
  if (problem) throw new Error(`${problem}\n${machine.lines.slice(0, 25).join("\n")}`);
}

/** One pair of file systems: `cuts` starts, each of which ends by a cut, and one that ends by itself. */
async function lifeOfMachine(workload, boot, cuts, random) {
  workload.begin();
  for (let cut = 0; cut <= cuts; cut++) {
    const isLast = cut === cuts;
    const machine = boot(cut === 0, isLast);
    // Now and then it goes while the last cut is being recovered from.
    const early = cut > 0 && !isLast && random() < 0.25;
    await machine.until(early ? "zio-recovering" : isLast ? "zio-end" : workload.ready, startSeconds);
    if (isLast) {
      await machine.ended(startSeconds);
    } else {
      await sleep(early ? random() * 150 : random() ** 2 * 4000);
      await machine.cut();
    }
    if (values.verbose) progress(machine.lines.filter((line) => /^zio-(recovered|found)/.test(line)).join("; "));
    checkLines(machine);
    workload.judge(machine.lines);
  }
}

async function run(tree, workload, directory, random) {
  const kernel = readdirSync(join(tree, "boot")).find((name) => name.startsWith("vmlinuz-"));
  const initramfs = join(directory, "initramfs");
  const init = join(root, "scripts/power-cuts/init");
  writeFileSync(initramfs, makeInitramfs(tree, init, await workload.programs(directory)));
  const began = Date.now();
  for (let done = 0; done < cycles; done += cyclesOfMachine) {
    const files = join(directory, `machine-${done}`);
    mkdirSync(files);
    const machine = new Machine(files);
    const boot = (isFirst, isLast) => {
      const words = { first: isFirst ? "yes" : "no", workload: workload.name, mode: isLast ? "check" : "append" };
      const named = Object.entries({ ...words, seed: values.seed }).map(([name, word]) => `zio_${name}=${word}`);
      machine.start(join(tree, "boot", kernel), initramfs, named.join(" "));
      return machine;
    };
    try {
      await lifeOfMachine(workload, boot, Math.min(cyclesOfMachine, cycles - done), random);
    } finally {
      await machine.cut();
    }
    rmSync(files, { recursive: true });
    progress(`${workload.name}: ${Math.min(cycles, done + cyclesOfMachine)} cuts`);
  }
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  progress(`${workload.name}: ${cycles} cuts in ${seconds} s (${kernel}, seed ${values.seed}): ${workload.summary()}`);
}

const tree = findTools();
await setUpOrExit();
const directory = mkdtempSync(join(tmpdir(), "zio-power-cuts-"));
try {
  const random = randomFrom(Number(values.seed));
  for (const name of values.workload.split(",")) {
    const Workload = workloads[name];
    if (!Workload) throw new Error(`there is no workload '${name}', but ${Object.keys(workloads).join(" and ")}`);
    await run(tree, new Workload(), directory, random);
  }
  progress("passed");
} catch (error) {
  progress(`failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
