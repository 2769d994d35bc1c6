// Case 19: where zIO cannot work the program runs unchanged.
import { tmpdir } from "node:os";
import { runProgram } from "@zio/test-support";
import { describe, expect, test } from "vitest";
import { bothWays, describeVictim, preloadableLibrary } from "./support/both-ways.js";
import { compileVictim } from "./support/compile-victim.js";

test("a static program runs unchanged", async (context) => {
  const { zio } = await bothWays({ victim: "static_program", args: ["echo"], expectElision: false }, context);
  expect(zio.always?.stats.processes).toEqual([]);
});

test("valgrind runs a program as it does plain", { timeout: 100_000 }, async (context) => {
  const found = await runProgram("sh", ["-c", "command -v valgrind"]);
  if (found.status !== 0) return context.skip("valgrind is not installed");
  const run = async (preload: Record<string, string>) => {
    const env = { PATH: process.env.PATH ?? "", ZIO_POLICY: "always", ...preload };
    const args = ["-q", "--error-exitcode=9", await compileVictim("overwrite"), "by-read-too"];
    const { status, stdout, stderr } = await runProgram("valgrind", args, { env, cwd: tmpdir() });
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  };
  const plain = await run({});
  expect(plain.stdout).not.toBe("");
  expect(await run({ LD_PRELOAD: await preloadableLibrary() })).toEqual(plain);
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
