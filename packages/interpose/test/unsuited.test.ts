// Case 19: where zIO cannot work the program runs unchanged.
import { describe, expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

test("a static program runs unchanged", async (context) => {
  const { zio } = await bothWays({ victim: "static_program", args: ["echo"], expectElision: false }, context);
  expect(zio.always?.stats.processes).toEqual([]);
});

const masked = { ZIO_DISABLE: "userfaultfd,device,syscall" };

describe("without userfaultfd", () => {
  const shared = { env: masked, complete: false, expectElision: false };
  describeVictim("input_entries", { "input is plain": "recvmsg", "files are plain": "read" }, shared);
  describeVictim("output_entries", { "output is plain": "writev" }, shared);
  describeVictim("bad_pointers", { "bad pointers are plain": "input-unix" }, shared);
  describeVictim("forks", { "forks are plain": "both-sides" }, shared);
  describeVictim("clones", { "raw children are plain": "raw-clone" }, shared);
  describeVictim("hidden_thread", { "there is no thread": "lazy", "unshare works": "unshare" }, shared);
  describeVictim("descriptors", { "no descriptor is taken": "numbers" }, shared);
  describeVictim("early_late", { "early calls are plain": "constructors", "late ones too": "exit-handlers" }, shared);

  test("nothing is redirected", async (context) => {
    const run = { victim: "output_entries", args: ["write"], env: masked, expectElision: false };
    const { zio } = await bothWays(run, context);
    for (const { stats } of Object.values(zio)) {
      expect(stats.totals.redirectedBytes ?? 0).toBe(0);
      expect(stats.totals.elidedBytes ?? 0).toBe(0);
    }
  });
});
