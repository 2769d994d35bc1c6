// Case 19: programs that another one starts, and that no library can be preloaded into (victims/executes.c): the library is
// left out of LD_PRELOAD for them, which is counted.
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileC } from "@zio/test-support";
import { afterAll, describe, expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

const source = join(import.meta.dirname, "native/greeting.c");
// Neither PATH nor the first line of a script can name a checkout in a path with a colon or a space.
const links = mkdtempSync(join(tmpdir(), "zio-executes-"));
afterAll(() => rmSync(links, { recursive: true, force: true }));
let made = 0;

async function compile(...flags: string[]): Promise<string> {
  const link = join(links, `greeting-${++made}`);
  symlinkSync(await compileC({ sources: [source], flags }), link);
  return link;
}

const plain = await compile();

const programs = [
  ["AddressSanitizer", await compile("-fsanitize=address")],
  ["ThreadSanitizer", await compile("-fsanitize=thread")],
  // The kernel finds the loader below the working directory, where there is none.
  ["another libc", await compile("-Wl,--dynamic-linker=ld-musl-x86_64.so.1")],
] as const;

describe.each(programs)("%s", (_, program) => {
  describeVictim(
    "executes",
    {
      "every form of exec starts the program as plain": { args: ["executed", program] },
      "posix_spawn, system and popen do": { args: ["spawned", program] },
    },
    { complete: false },
  );
});

describeVictim("executes", {
  "every form of exec starts an ordinary program": { args: ["executed", plain] },
  "posix_spawn, system and popen start it": { args: ["spawned", plain] },
  "what cannot be executed is refused as plain": { args: ["refused", plain] },
  "in a root directory without the library a program starts without a word": { args: ["elsewhere", plain] },
});

test("each program that is started without the library is counted", { timeout: 60_000 }, async (context) => {
  const count = async (subCase: string, program: string) => {
    const { zio } = await bothWays({ victim: "executes", args: [subCase, program], modes: ["always"] }, context);
    return zio.always?.stats.totals["fallbacks.not-preloaded"];
  };
  expect(await count("executed", plain)).toBe(0);
  for (const [, program] of programs) expect(await count("executed", program)).toBe(11);
  expect(await count("spawned", programs[0][1])).toBe(4);
  expect(await count("elsewhere", plain)).toBe(2);
});
