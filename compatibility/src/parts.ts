// Suites that consist of parts (files, modules, units). A part that fails is run again, in both modes: other people's
// tests look at clocks, and the machine may be busy. What passed only then is told, not hidden.
import type { Outcome } from "./program.js";

export interface PartResult {
  /** How many checks the part has; the same in every run. */
  checks: number;
  failed: string[];
  /** False: it ended early, and says nothing about the checks that it did not come to. */
  complete?: boolean;
}

interface PartOptions {
  /** How many parts at once. */
  parallel?: number;
  attempts?: number;
}

/** Runs each part; `slot` is a number below `parallel` that no other part has at the same time. */
export async function runParts(
  parts: readonly string[],
  runPart: (part: string, slot: number) => Promise<PartResult>,
  { parallel = 1, attempts = 3 }: PartOptions = {},
): Promise<Outcome> {
  const outcome = { checks: 0, failed: [] as string[], repeated: [] as string[] };
  const waiting = [...parts];
  const work = async (slot: number) => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      let result = await runPart(part, slot);
      const first = result.failed;
      for (let attempt = 1; result.failed.length > 0 && attempt < attempts; attempt++) {
        const next = await runPart(part, slot);
        const still = new Set(next.failed);
        const endedEarly = result.complete === false && next.complete !== false;
        const failed = endedEarly ? next.failed : result.failed.filter((name) => still.has(name));
        // The same twice is no chance.
        const settled = !endedEarly && failed.length === result.failed.length;
        const complete = result.complete !== false || next.complete !== false;
        result = { checks: Math.max(result.checks, next.checks), failed, complete };
        if (settled) break;
      }
      outcome.checks += result.checks;
      outcome.failed.push(...result.failed);
      outcome.repeated.push(...first.filter((name) => !result.failed.includes(name)));
    }
  };
  await Promise.all(Array.from({ length: parallel }, (_, slot) => work(slot)));
  return outcome;
}
