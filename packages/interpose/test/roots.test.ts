// Case 19: programs that change their root directory, and namespaces without /proc (victims/roots.c).
import { expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

/** Of each round of work three quarters can be elided again, at least. */
const rounds = (count: number) => ({ elided: count * 144 * 1024 });
/** Three workers with a child each. */
const workers = 3 * 2 * 4;

describeVictim("roots", {
  "a server that changes its root and its user elides, and so do its workers": {
    args: ["server"],
    expectElision: rounds(4 + workers),
  },
  "a server that does so before its first large input elides": {
    args: ["idle-server"],
    expectElision: rounds(4 + workers),
  },
  "workers that change root and user each elide": { args: ["confined-workers"], expectElision: rounds(4 * 4) },
  "a root that was changed by a call that no hook sees leaves the process its elision": {
    args: ["unseen"],
    expectElision: rounds(8),
  },
  "after /proc was unmounted the process and its workers elide": {
    args: ["without-proc"],
    expectElision: rounds(4 + workers),
  },
  "a file system in which zIO has something open can be unmounted": {
    args: ["unmounted"],
    expectElision: rounds(10 + workers),
  },
  "in another root file system the process and its workers elide": {
    args: ["pivoted"],
    expectElision: rounds(8 + workers),
  },
  "children in another pid namespace elide": { args: ["other-pids"], expectElision: rounds(4 + workers) },
  "every thread has the root that the program asked for": "followed",
  "nothing leads out of the new root": "nothing-leads-out",
  "input that waits while zIO ends arrives where nothing tells what its memory is": "ended-while-waiting",
  "descriptors that are kept for a new root may be closed": { args: ["closed"], expectElision: rounds(10 + workers) },
});

test("children that cannot find out what their memory is are counted", { timeout: 100_000 }, async (context) => {
  const { zio } = await bothWays({ victim: "roots", args: ["unseen"] }, context);
  expect(zio.always?.stats.totals["fallbacks.unavailable"]).toBe(1);
  expect(zio["always without move"]?.stats.totals["fallbacks.unavailable"]).toBe(1);
});
