import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    // Not what this machine measured: `learn` does the same everywhere.
    env: { ZIO_COSTS: "" },
    name: "runtime",
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
