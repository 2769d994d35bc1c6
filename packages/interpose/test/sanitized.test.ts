// A part of the victims with libraries in which a sanitizer looks at the hooks themselves (support/chosen-library.ts). All of
// them run with the trapping one by ZIO_TEST_LIBRARY=trapping, as `npm run verify` does.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readStatsDirectory } from "../src/read-stats.js";
import { bothWays, userfaultfdRefusal } from "./support/both-ways.js";
import { addressLibrary, addressOptions, threadProgram, trappingLibrary } from "./support/chosen-library.js";
import { compileVictim } from "./support/compile-victim.js";
import { freeCosts } from "./support/elision.js";
import { runVictim } from "./support/run-victim.js";

const compilation = 300_000;

async function undefinedSymbols(library: string): Promise<string> {
  const { stdout } = await runProgram("nm", ["-D", "--undefined-only", library]);
  return stdout.toString();
}

function describeRuns(runs: readonly string[], library: () => Promise<string>, env: Record<string, string> = {}): void {
  test.for(runs)("%s", { timeout: 100_000 }, async (run, context) => {
    const [victim, ...args] = run.split(" ");
    await bothWays({ victim: victim!, args, env, library: await library(), timeoutMs: 40_000 }, context);
  });
}

describe("with a library in which undefined behaviour traps", () => {
  beforeAll(async () => void (await trappingLibrary()), compilation);

  test("it has traps, and no sanitizer runtime", async () => {
    const { stdout } = await runProgram("objdump", ["-d", "--no-show-raw-insn", await trappingLibrary()]);
    expect(stdout.toString().match(/\t(ud2|brk)\b/g)?.length).toBeGreaterThan(500);
    expect(await undefinedSymbols(await trappingLibrary())).not.toMatch(/\bU __\w+san_/);
  });

  describeRuns(
    [
      "fuzz run 77 1500",
      "iofuzz 77 800",
      "iofuzz 78 200 4",
      "races readers-against-all-kinds",
      "handlers copying-in-handlers",
      "output_entries send",
      "forks busy-threads",
    ],
    trappingLibrary,
  );
});

describe("with a library under AddressSanitizer", () => {
  beforeAll(async () => void (await addressLibrary()), compilation);

  test("it calls the sanitizer", async () => {
    expect(await undefinedSymbols(await addressLibrary())).toMatch(/__asan_report_/);
  });

  describeRuns(
    [
      "fuzz run 77 1500",
      "iofuzz 77 800",
      "iofuzz 78 200 4",
      "iovecs multiplied",
      "input_entries recvmsg",
      "output_entries sendmsg",
      "messages relayed-in-bulk",
      "blocking buffer-goes",
      "mappings mapped-over",
      "stamps all",
    ],
    addressLibrary,
    { ASAN_OPTIONS: addressOptions },
  );
});

describe("with hooks, policy and handler under ThreadSanitizer", () => {
  const suppressions = [
    // What a child sets up anew belonged to threads that it does not have.
    "race:zio_tracker_fork_child",
    // Memory of the victim, which races on purpose; the library has loops of its own for its memory.
    "race:^memcpy$",
    "race:^memmove$",
    "race:^memset$",
  ];

  // A child of several threads that starts one, such as our handler, is more than this sanitizer supports.
  test.for([
    "crowds handed-over",
    "stamps all",
    "map_storm hooked",
    "blocking competing",
    "io_signals handler-does-io",
  ])("%s", { timeout: 400_000 }, async (run, context) => {
    const refusal = await userfaultfdRefusal();
    if (refusal) return context.skip(refusal);
    const [victim, ...args] = run.split(" ");
    const directory = mkdtempSync(join(tmpdir(), "zio-threads-"));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    writeFileSync(join(directory, "suppressions"), `${suppressions.join("\n")}\n`);
    const TSAN_OPTIONS = `suppressions=${join(directory, "suppressions")}:print_suppressions=0`;
    const options = { cwd: directory, timeoutMs: 90_000 };
    const env = { PATH: process.env.PATH, LC_ALL: "C" };
    const plain = await runVictim(await compileVictim(victim!), args, { ...options, env });
    const program = await threadProgram(victim!);
    for (const ZIO_POLICY of ["always", "learn"]) {
      const ZIO_STATS = mkdtempSync(join(directory, "stats-"));
      const settings = { ZIO_POLICY, ZIO_STATS, ZIO_COSTS: freeCosts, TSAN_OPTIONS };
      const { status, signal, stdout, stderr } = await runVictim(program, args, {
        ...options,
        env: { ...env, ...settings },
      });
      const seen = { status, signal, stdout: stdout.toString(), stderr: stderr.toString() };
      expect(seen).toEqual({ status: 0, signal: null, stdout: plain.stdout.toString(), stderr: "" });
      expect(readStatsDirectory(ZIO_STATS).totals.redirectedBytes).toBeGreaterThan(0);
    }
  });
});
