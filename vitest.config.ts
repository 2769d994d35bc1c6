import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import SlowestFirst from "./test-support/src/slowest-first.js";

// Set by scripts/test.mjs, which turns the report into the closing lines of `npm test`.
const reportFile = process.env.ZIO_TEST_REPORT;

export default defineConfig({
  test: {
    projects: ["packages/*", "test-support", "compatibility", "examples"],
    reporters: reportFile ? ["default", ["./scripts/summary-reporter.mjs", { outputFile: reportFile }]] : ["default"],
    pool: "forks",
    // More than there are processors: half of the time tests wait, for programs that sleep and for each other's ends.
    maxWorkers: availableParallelism() + 2,
    sequence: { sequencer: SlowestFirst },
    coverage: { provider: "v8", include: ["packages/*/src/**"], reportsDirectory: "coverage" },
  },
});
