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
    // More than there are processors: half of the time a test waits, for programs that sleep or wait for one another. Not many
    // more: some tests fill memory, descriptors or threads up.
    maxWorkers: Math.min(availableParallelism() + 2, 8),
    sequence: { sequencer: SlowestFirst },
    coverage: { provider: "v8", include: ["packages/*/src/**"], reportsDirectory: "coverage" },
  },
});
