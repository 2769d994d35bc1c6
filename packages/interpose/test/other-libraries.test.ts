// Case 19: another preloaded library that hooks the same functions (victims/libraries/wrapping.c), before and after ours.
import { describe, test } from "vitest";
import { bothWays } from "./support/both-ways.js";
import { compileVictimLibrary } from "./support/compile-victim.js";

describe.each(["preloadBefore", "preload"] as const)("with a library that hooks the same, as %s", (where) => {
  test.each([
    ["overwrite", "generations"],
    ["heap", "grow-and-shrink"],
    ["forks", "both-sides"],
  ])("%s %s is plain", { timeout: 100_000 }, async (victim, subcase) => {
    // realloc is left to the allocator where the size of its blocks cannot be asked of it.
    const expected = victim === "heap" ? { expectElision: false as const } : {};
    await bothWays({ victim, args: [subcase], [where]: [await compileVictimLibrary("wrapping")], ...expected });
  });
});
