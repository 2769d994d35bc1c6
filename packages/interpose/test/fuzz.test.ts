import { describe } from "vitest";
import { describeVictim, type Sentences } from "./support/both-ways.js";
import { byChance } from "./support/elision.js";

/** ZIO_FUZZ_SEEDS=first-last asks for other seeds, ZIO_FUZZ_OPERATIONS for longer runs. */
const [first, last] = (process.env.ZIO_FUZZ_SEEDS ?? "1-12").split("-").map(Number);
const operations = process.env.ZIO_FUZZ_OPERATIONS ?? "500";

function seeds(from: number, to: number): Sentences {
  const run = (seed: number) => [`seed ${seed} gives the same bytes`, `run ${seed} ${operations}`] as const;
  return Object.fromEntries(Array.from({ length: to - from + 1 }, (_, index) => run(from + index)));
}

describeVictim("fuzz", seeds(first!, last!), { underLearn: byChance });

describe("with a threshold of one page", () => {
  describeVictim("fuzz", seeds(first! + 1000, first! + 1005), { env: { ZIO_THRESHOLD: "4K" }, underLearn: byChance });
});

describe("with 1 MiB for origins", () => {
  describeVictim("fuzz", seeds(first! + 2000, first! + 2003), {
    env: { ZIO_MEMORY_LIMIT: "1M" },
    underLearn: byChance,
  });
});
