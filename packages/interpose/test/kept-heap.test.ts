// Under `learn`, a program with large input stops giving its heap back with every block (native/heap.c).
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { preloadableLibrary, userfaultfdRefusal } from "./support/both-ways.js";
import { compileVictim } from "./support/compile-victim.js";
import { runVictim } from "./support/run-victim.js";

/** The bytes of heap that are left when 20 rounds of receiving, copying and freeing 6 MiB are over. */
async function keptBy(variables: Record<string, string>): Promise<number> {
  const program = await compileVictim("kept_heap");
  const env = { ...process.env, ZIO_COSTS: "", ...variables };
  const outcome = await runVictim(program, ["churn"], { env, cwd: tmpdir(), timeoutMs: 20_000 });
  expect(outcome.status).toBe(0);
  return Number(/^kept (\d+)$/m.exec(outcome.stdout.toString())?.[1]);
}

test("freed blocks are kept, unless the program or the user decided otherwise", async (context) => {
  const refusal = await userfaultfdRefusal();
  if (refusal) context.skip(refusal);
  const LD_PRELOAD = await preloadableLibrary();
  const largest = 5 * 2 ** 20; // at least, where the heap is kept; plain keeps less than twice the largest block
  expect(await keptBy({})).toBeLessThan(largest);
  expect(await keptBy({ LD_PRELOAD })).toBeGreaterThanOrEqual(largest);
  const decisions: Record<string, string>[] = [
    { ZIO_KEEP_HEAP: "no" },
    { MALLOC_TRIM_THRESHOLD_: "131072" },
    { GLIBC_TUNABLES: "glibc.malloc.trim_threshold=131072" },
    { ZIO_POLICY: "always" },
  ];
  for (const decided of decisions)
    expect(await keptBy({ LD_PRELOAD, ...decided }), JSON.stringify(decided)).toBeLessThan(largest);
});
