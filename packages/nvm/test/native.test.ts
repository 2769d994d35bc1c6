import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { tmpdir } from "node:os";
import { compileC, runProgram, type Sanitizer } from "@zio/test-support";
import { describe, expect, test } from "vitest";
import { compileNative, join, native, nativeIncludes } from "./support/compile-native.js";

/** ZIO_TEST_SEED repeats a run that failed. */
const seed = process.env.ZIO_TEST_SEED ?? String(randomInt(2 ** 31));
console.log(`the C tests of nvm run with ZIO_TEST_SEED=${seed}`);

/** Runs a program that prints nothing on standard error unless it fails; resolves to what it printed. */
async function run(program: string, args: string[]): Promise<string> {
  const { status, signal, stdout, stderr } = await runProgram(program, args, { timeoutMs: 300_000 });
  const command = `${program} ${args.join(" ")}`;
  expect({ command, status, signal, stderr }).toEqual({ command, status: 0, signal: null, stderr: "" });
  return stdout.toString();
}

const memoryChecks: Sanitizer[] = ["address", "undefined"];
const poolTest = await compileNative("pool_test", { sanitizers: memoryChecks });
const cases = execFileSync(poolTest, ["--list"], { encoding: "utf8" }).trim().split("\n");

describe.each([
  ["an ordinary file", tmpdir(), "800"],
  ["DRAM", "/dev/shm", "6000"],
])("a pool in %s, under AddressSanitizer and UndefinedBehaviorSanitizer", (_, directory, rounds) => {
  for (const name of cases) {
    test(name.replaceAll("_", " "), async () => {
      await run(poolTest, [directory, name, seed, rounds]);
    }, 100_000);
  }
});

test.each<[string, Sanitizer[]]>([
  ["AddressSanitizer and UndefinedBehaviorSanitizer", memoryChecks],
  ["ThreadSanitizer", ["thread"]],
])(
  "threads append, sync, read and digest at once, and fill a small pool, under %s",
  async (_, sanitizers) => {
    const program = await compileNative("threads_test", { sanitizers });
    await run(program, [tmpdir()]);
    await run(program, ["/dev/shm"]);
  },
  100_000,
);

test("space ahead of files is allocated, and what a worker that died there left is put right", async () => {
  const program = await compileNative("ahead_test", { sanitizers: memoryChecks });
  await run(program, [tmpdir()]);
  await run(program, ["/dev/shm"]);
}, 100_000);

test("a pool that was damaged says where, or loses nothing", async () => {
  const program = await compileNative("damage_test", { sanitizers: [] });
  expect(await run(program, ["/dev/shm", seed])).toMatch(/RECORD_DAMAGED \d+/);
}, 100_000);

test("CRC32C by the instruction and by the table is that of the standard", async () => {
  await run(await compileNative("crc_test", { sanitizers: memoryChecks }), [seed]);
}, 100_000);

/** More for a soak: `ZIO_NVM_KILLS=200 npm test -- packages/nvm -t SIGKILL`. */
const kills = process.env.ZIO_NVM_KILLS ?? "20";

test(`after SIGKILL at ${kills} random moments every completed write is there`, async () => {
  const program = await compileNative("kill_test", { sanitizers: [] });
  expect(await run(program, [tmpdir(), seed, kills])).toContain(`${kills} cycles`);
}, 300_000);

test.each(["-O1", "-O2", "-O3"])(
  "the data plane calls no libc, not even memcpy, at %s",
  async (level) => {
    const flags = ["-c", "-fPIC", level, "-fno-builtin", "-fno-tree-loop-distribute-patterns"];
    const sources = [join(native, "zio_nvm_unit.c")];
    const object = await compileC({ sources, includes: nativeIncludes, flags });
    const symbols = execFileSync("nm", ["--undefined-only", "--format=just-symbols", object], { encoding: "utf8" });
    // On arm64 gcc calls atomic operations in libgcc, which is linked in.
    expect(
      symbols.split("\n").filter((name) => name && !/^(zio_|_GLOBAL_OFFSET_TABLE_$|__aarch64_)/.test(name)),
    ).toEqual([]);
  },
  100_000,
);
