import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { compileC, runProgram, type Sanitizer } from "@zio/test-support";
import { describe, expect, test } from "vitest";

const packageRoot = join(import.meta.dirname, "..");
const core = join(packageRoot, "../core");
const native = join(packageRoot, "native");
const includes = [join(packageRoot, "include"), native, join(core, "include"), join(core, "native")];

/** The exit status of a test whose capability is missing; the reason is its last line on stdout. */
const skipStatus = 77;

const variants: [string, Sanitizer[]][] = [
  ["as shipped", []],
  ["under AddressSanitizer and UndefinedBehaviorSanitizer", ["address", "undefined"]],
];

const everything = readdirSync(native).filter((name) => name.endsWith(".c") && !/unit/.test(name));
const tracker = everything.filter((name) => name.startsWith("tracker"));
/** What lies below the tracker. */
const layer = everything.filter((name) => !name.startsWith("tracker"));

/** Each with the sources that it needs besides. */
const programs: Record<string, string[]> = {
  uffd_test: [],
  seccomp_test: [],
  mapping_test: [],
  handler_test: [],
  events_test: [],
  lazy_engine_test: ["addon/lazy_engine.c"],
  tracker_threads_test: tracker,
};

/** ThreadSanitizer must know every thread: there the handler is one of libc's, by the linker's --wrap. */
const threadVariant = {
  programs: ["tracker_threads_test"],
  source: join(packageRoot, "test/native/handler_as_pthread.c"),
  flags: ["-Wl,--wrap=zio__clone", "-Wl,--wrap=zio__close_all_but"],
};

for (const [name, ownSources] of Object.entries(programs)) {
  const withThreads: typeof variants = [["under ThreadSanitizer", ["thread"]]];
  for (const [variant, sanitizers] of [...variants, ...(threadVariant.programs.includes(name) ? withThreads : [])]) {
    const wrapped = sanitizers.includes("thread");
    const sources = [
      join(packageRoot, "test/native", `${name}.c`),
      ...[...layer, ...ownSources].map((source) => join(native, source)),
      join(core, "native/zio_core_unit.c"),
      ...(wrapped ? [threadVariant.source] : []),
    ];
    const program = await compileC({ sources, includes, sanitizers, flags: wrapped ? threadVariant.flags : [] });
    const cases = execFileSync(program, ["--list"], { encoding: "utf8" }).trim().split("\n");
    describe(`${name}, ${variant}`, () => {
      for (const testName of cases) {
        test(testName.replaceAll("_", " "), { timeout: 100_000 }, async ({ skip }) => {
          // The handler thread has no thread-local storage for the sanitizer's second stack.
          const env = { ASAN_OPTIONS: "detect_stack_use_after_return=0" };
          const { status, signal, stdout, stderr } = await runProgram(program, [testName], { env, timeoutMs: 90_000 });
          if (status === skipStatus) skip(stdout.toString().trim().split("\n").at(-1));
          expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: "" });
        });
      }
    });
  }
}

describe("what runs inside hooks and on the handler thread", () => {
  const sources = readdirSync(native).filter((name) => name.endsWith(".c") && name !== "unit_core.c");
  test.each(sources)("%s compiles alone and calls no libc, not even memcpy", async (source) => {
    for (const level of ["-O1", "-O2", "-O3"]) {
      const flags = ["-c", "-fPIC", level, "-fno-builtin", "-fno-tree-loop-distribute-patterns"];
      const object = await compileC({ sources: [join(native, source)], includes, flags });
      const symbols = execFileSync("nm", ["--undefined-only", "--format=just-symbols", object], { encoding: "utf8" });
      const foreign = symbols.split("\n").filter((name) => name && !/^(zio_|_GLOBAL_OFFSET_TABLE_$)/.test(name));
      expect(foreign, `${source} at ${level}`).toEqual([]);
    }
  });
});
