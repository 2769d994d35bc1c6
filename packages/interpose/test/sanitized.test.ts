// A part of the victims with libraries in which a sanitizer looks at the hooks themselves (support/chosen-library.ts). All of
// them run with the trapping one by ZIO_TEST_LIBRARY=trapping, as `npm run verify` does.
import { runProgram } from "@zio/test-support";
import { beforeAll, describe, expect, test } from "vitest";
import { bothWays } from "./support/both-ways.js";
import { addressLibrary, addressOptions, trappingLibrary } from "./support/chosen-library.js";

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
