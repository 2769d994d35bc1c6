// Case 19: another preloaded library that hooks the same functions (victims/libraries/wrapping.c), before and after ours;
// allocators and libeatmydata (Debian: libjemalloc2, libtcmalloc-minimal4, eatmydata) likewise.
import { existsSync } from "node:fs";
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

const directories = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
const find = (name: string) => directories.map((each) => `${each}/${name}`).find(existsSync) ?? name;

describe.each(["libeatmydata.so.1", "libjemalloc.so.2", "libtcmalloc_minimal.so.4"])("with %s", (library) => {
  describe.each(["preloadBefore", "preload"] as const)("as %s", (where) => {
    test.for([
      ["overwrite", "generations"],
      ["output_entries", "write"],
      ["forks", "both-sides"],
      ["hidden_thread", "dropped-privileges"],
    ])("%s %s is plain", { timeout: 100_000 }, async ([victim, subcase], context) => {
      context.skip(!existsSync(find(library)), `${library} is not installed`);
      await bothWays({ victim: victim!, args: [subcase!], [where]: [find(library)] }, context);
    });
  });
});

test.each(["preloadBefore", "preload"] as const)(
  "a library that looks in vain for a function as it starts changes nothing, as %s",
  { timeout: 100_000 },
  async (where) => {
    const library = await compileVictimLibrary("probing");
    await bothWays({ victim: "overwrite", args: ["generations"], [where]: [library] });
  },
);

// glibc's own checks: its functions are found only by whoever asks for the version that programs ask for.
const checking = find("libc_malloc_debug.so.0");
describe.each(["preloadBefore", "preload"] as const)("with glibc's checking malloc as %s", (where) => {
  const env = { MALLOC_CHECK_: "3", MALLOC_PERTURB_: "85" };
  test.for([
    ["overwrite", "generations"],
    ["heap", "freed-and-taken-again"],
    ["heap", "grow-step-by-step"],
    ["allocations", "by-turns"],
  ])("%s %s is plain", { timeout: 100_000 }, async ([victim, subcase], context) => {
    context.skip(!existsSync(checking), `${checking} is not installed`);
    await bothWays({ victim: victim!, args: [subcase!], env, [where]: [checking] }, context);
  });
});
