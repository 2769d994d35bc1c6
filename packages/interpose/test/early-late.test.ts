// Case 21: before main and after exit (victims/early_late.c, own_malloc.c, libraries/early_library.c).
import { describe } from "vitest";
import { describeVictim } from "./support/both-ways.js";
import { compileVictimLibrary } from "./support/compile-victim.js";

const library = await compileVictimLibrary("early_library");

describeVictim(
  "early_late",
  {
    "constructors of the program copy and do IO": "constructors",
    "resolvers of indirect functions copy before anything is initialised": "indirect-functions",
    "atexit handlers and destructors find the views": { args: ["exit-handlers"] },
    "quick_exit finds the views": "quick",
    "the process leaves while threads are in the middle of IO": "busy-exit",
    "threads do IO in the destructors of their keys": "thread-exits",
    "the static memory of a library is a view when dlclose takes it away": "loaded-and-closed",
  },
  { env: { EARLY_LIBRARY: library } },
);

describe.each([
  ["bound lazily", {}],
  ["bound at once", { LD_BIND_NOW: "1" }],
])("a library that starts before libzio.so, %s", (_, env) => {
  describeVictim(
    "early_late",
    {
      "does IO in its constructors": "constructors",
      "leaves resolvers alone": "indirect-functions",
      "does IO in its destructor": "exit-handlers",
    },
    { env, preload: [library], complete: false },
  );
});

describe("bound at once", () => {
  const shared = { env: { LD_BIND_NOW: "1" }, complete: false };
  describeVictim("forks", { "both sides of a fork are right": "both-sides" }, shared);
  describeVictim("output_entries", { "output is right": "writev" }, shared);
});

describeVictim("own_malloc", {
  "a program may bring its own allocator": "program",
});
