import type { TestContext } from "vitest";
import { BenchError } from "../../src/index.js";

/** What `running` gives; skips the test, with the reason, where zIO cannot work on this machine. */
export async function orSkip<Result>(context: TestContext, running: Promise<Result>): Promise<Result> {
  return running.catch((error: unknown) => {
    if (error instanceof BenchError && /does nothing/.test(error.message)) context.skip(error.message);
    throw error;
  });
}
