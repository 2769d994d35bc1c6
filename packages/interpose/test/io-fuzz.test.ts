// Random input, copies, overwrites, output and forks against shadows of everything (victims/iofuzz.c). To repeat one:
// iofuzz SEED OPERATIONS [THREADS], with IOFUZZ_TRACE=1 for every step. ZIO_FUZZ_SEED chooses the first seed.
import { describe, test } from "vitest";
import { bothWays } from "./support/both-ways.js";
import { byChance } from "./support/elision.js";

const first = Number(process.env.ZIO_FUZZ_SEED ?? 1);
const runs = 12;

describe("random IO comes out as plain", () => {
  const seeds = Array.from({ length: runs }, (_, index) => first + index);
  test.for(seeds)("seed %d", { timeout: 100_000 }, async (seed, context) => {
    await bothWays({ victim: "iofuzz", args: [`${seed}`, "400"], underLearn: byChance, timeoutMs: 30_000 }, context);
  });
  test.for(seeds.slice(0, 4))("four threads of seed %d", { timeout: 100_000 }, async (seed, context) => {
    await bothWays(
      { victim: "iofuzz", args: [`${seed}`, "200", "4"], underLearn: byChance, timeoutMs: 30_000 },
      context,
    );
  });
  test("a tiny memory for origins", { timeout: 100_000 }, async (context) => {
    const env = { ZIO_MEMORY_LIMIT: "1M", ZIO_THRESHOLD: "4K" };
    await bothWays(
      { victim: "iofuzz", args: [`${first}`, "800"], env, underLearn: byChance, timeoutMs: 30_000 },
      context,
    );
  });
});
