import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    // Not what this machine measured: `learn` does the same everywhere.
    env: { ZIO_COSTS: "" },
    name: "runtime",
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
