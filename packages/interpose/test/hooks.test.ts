// Trap 21: the hooks are hit (victims/bindings.c, fortified_io.c).
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { bothWays, describeVictim, preloadableLibrary } from "./support/both-ways.js";
import { compileVictim } from "./support/compile-victim.js";
import { runVictim } from "./support/run-victim.js";

test("every hooked name that a program calls is bound to the library", async () => {
  const env = { LD_PRELOAD: await preloadableLibrary() };
  const program = await compileVictim("bindings");
  const { stdout } = await runVictim(program, ["where"], { env, cwd: "/", timeoutMs: 5000 });
  const lines = stdout.toString().trim().split("\n");
  expect(lines.length).toBeGreaterThan(40);
  expect(lines.filter((line) => !line.endsWith(` ${basename(env.LD_PRELOAD)}`))).toEqual([]);
});

describe("one copy of 256 KiB is counted as elided, by", () => {
  const copies = ["memcpy", "memmove", "mempcpy", "bcopy", "memcpy_before_2_14"];
  test.for([...copies, "__memcpy_chk", "__memmove_chk", "__mempcpy_chk"])("%s", async (name, context) => {
    const bytes = 256 * 1024;
    const expectElision = { redirected: bytes, elided: bytes };
    const { zio } = await bothWays({ victim: "bindings", args: [name], modes: ["always"], expectElision }, context);
    const { totals } = zio.always!.stats;
    expect(totals.elidedBytes).toBe(bytes);
  });
});

describeVictim("fortified_io", {
  "the checked forms of input fill views of static memory": "inputs",
  "the checked forms of copies copy them": "copies",
  "a checked overflow ends the program as plain": "overflow",
});
