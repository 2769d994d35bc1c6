// A part of the victims with the library in which undefined behaviour traps (support/chosen-library.ts). Everything runs
// with it by ZIO_TEST_LIBRARY=trapping, as `npm run verify` does.
import { runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { bothWays } from "./support/both-ways.js";
import { trappingLibrary } from "./support/chosen-library.js";

test("the library compiled to trap has traps, and no sanitizer runtime", async () => {
  const library = await trappingLibrary();
  const { stdout } = await runProgram("objdump", ["-d", "--no-show-raw-insn", library]);
  expect(stdout.toString().match(/\t(ud2|brk)\b/g)?.length).toBeGreaterThan(500);
  const { stdout: symbols } = await runProgram("nm", ["-D", "--undefined-only", library]);
  expect(symbols.toString()).not.toMatch(/san_/);
});

const runs = [
  "fuzz run 77 1500",
  "iofuzz 77 800",
  "iofuzz 78 200 4",
  "races readers-against-all-kinds",
  "handlers copying-in-handlers",
  "output_entries send",
  "forks busy-threads",
];

test.for(runs)("%s runs without undefined behaviour", { timeout: 100_000 }, async (run, context) => {
  const [victim, ...args] = run.split(" ");
  await bothWays({ victim: victim!, args, library: await trappingLibrary(), timeoutMs: 30_000 }, context);
});
