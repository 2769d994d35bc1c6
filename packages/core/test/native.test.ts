import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type CompileOptions, compileC, runProgram, type Sanitizer } from "@zio/test-support";
import { describe, expect, test } from "vitest";

const packageRoot = join(import.meta.dirname, "..");
const native = join(packageRoot, "native");
const includes = [join(packageRoot, "include"), native];
const memoryChecks: Sanitizer[] = ["address", "undefined"];

/** ZIO_TEST_SEED repeats a run that failed. */
const seed = process.env.ZIO_TEST_SEED ?? String(randomInt(2 ** 31));
console.log(`core's C tests run with ZIO_TEST_SEED=${seed}`);

/** Compiles a program of test/native together with all of core, and runs it. */
async function run(name: string, args: string[], options: Pick<CompileOptions, "sanitizers" | "flags">) {
  const sources = [join(packageRoot, "test/native", `${name}.c`), join(native, "zio_core_unit.c")];
  const program = await compileC({ sources, includes, ...options });
  const { status, signal, stderr } = await runProgram(program, args, { timeoutMs: 120_000 });
  const command = `${name} ${args.join(" ")}`;
  expect({ command, status, signal, stderr }).toEqual({ command, status: 0, signal: null, stderr: "" });
}

describe("the C units, under AddressSanitizer and UndefinedBehaviorSanitizer", () => {
  test.each([
    ["abi_test", []],
    ["arena_test", []],
    ["origin_test", []],
    ["map_test", [seed]],
    ["lock_test", ["20000"]],
    ["threads_test", [seed, "20000"]],
  ])("%s passes", (name, args) => run(name, args, { sanitizers: memoryChecks }), 180_000);

  test(
    "map_test passes with nodes of 152 bytes",
    () => run("map_test", [seed], { sanitizers: memoryChecks, flags: ["-DZIO_VIEW_NODE_BYTES=152"] }),
    180_000,
  );
});

describe("the C units with threads, under ThreadSanitizer", () => {
  test.each([
    ["lock_test", ["20000"]],
    ["threads_test", [seed, "5000"]],
  ])("%s passes", (name, args) => run(name, args, { sanitizers: ["thread"] }), 180_000);
});

describe("random changes and look-ups agree with an array of places", () => {
  // Small nodes make deep trees out of few views.
  test.each([
    ["tree", 152, 400_000],
    ["tree", 1024, 200_000],
    ["map", 152, 200_000],
    ["edge", 152, 200_000],
    ["wide", 152, 100_000],
  ])(
    "%s, with nodes of %i bytes, over %i rounds",
    (kind, nodeBytes, rounds) =>
      run("model_test", [kind, seed, String(rounds)], {
        sanitizers: memoryChecks,
        flags: [`-DZIO_VIEW_NODE_BYTES=${nodeBytes}`],
      }),
    180_000,
  );
});

test("a million views take at most 96 bytes each", () => run("million_test", [seed], { flags: ["-O2"] }), 180_000);

describe("the data plane", () => {
  const sources = readdirSync(native).filter((name) => name.endsWith(".c") && name !== "zio_core_unit.c");
  test.each(sources)("%s compiles alone and calls nothing outside core, not even memcpy", async (source) => {
    for (const level of ["-O1", "-O2", "-O3"]) {
      const flags = ["-c", "-fPIC", level, "-fno-builtin", "-fno-tree-loop-distribute-patterns"];
      const object = await compileC({ sources: [join(native, source)], includes, flags });
      const symbols = execFileSync("nm", ["--undefined-only", "--format=just-symbols", object], { encoding: "utf8" });
      // On arm64 gcc calls atomic operations in libgcc, which is linked in.
      const foreign = symbols
        .split("\n")
        .filter((name) => name && !/^(zio_|_GLOBAL_OFFSET_TABLE_$|__aarch64_)/.test(name));
      expect(foreign, `${source} at ${level}`).toEqual([]);
    }
  });
});
