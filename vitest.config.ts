import { defineConfig } from "vitest/config";

// Set by scripts/test.mjs, which turns the report into the closing lines of `npm test`.
const reportFile = process.env.ZIO_TEST_REPORT;

export default defineConfig({
  test: {
    projects: ["packages/*", "test-support", "compatibility", "examples"],
    reporters: reportFile ? ["default", ["./scripts/summary-reporter.mjs", { outputFile: reportFile }]] : ["default"],
    pool: "forks",
    // Two at a time: many tests run programs with threads of their own.
    maxWorkers: 2,
    coverage: { provider: "v8", include: ["packages/*/src/**"], reportsDirectory: "coverage" },
  },
});
