// Programs that zio-fuzz has found and made small: each differed once, for the reason that its sentence gives.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { providerPath } from "@zio/nvm";
import { expect, onTestFinished, test } from "vitest";
import { compareRuns, execute, type Mode } from "../src/fuzz/execute.js";
import { preloadableLibrary, userfaultfdRefusal } from "./support/both-ways.js";

const program = fileURLToPath(new URL("../build/Release/zio-fuzz-program", import.meta.url));

/** What an operation of the program must have done under zIO, or it proves nothing. */
type Proof = "loggedBytes" | "loggedByReferenceBytes";

const found: Record<string, [mode: Mode, proof: Proof, operations: string[]]> = {
  "a read of a logged file goes on into pages that are still to be filled": [
    "logged",
    "loggedBytes",
    [
      "mmap 6 0 0",
      "malloc 12 16384 0",
      "recv 12 0 -1 -1 0 0",
      "open 2 0 4 0",
      "writeat 2 6 0 -1 0 0",
      "read 2 12 0 -1 0",
    ],
  ],
  "a jump out of a call that waited for input leaves nothing that keeps files from getting what is logged": [
    "logged",
    "loggedBytes",
    ["mmap 11 90112 4", "open 1 1 6 0", "write 1 11 0 144 16", "jump 11 64090 24576 0"],
  ],
  "the same before the first write": [
    "logged",
    "loggedBytes",
    ["mmap 6 45056 0", "jump 6 0 -1 0", "open 1 0 6 0", "writeat 1 6 0 -1 0 0"],
  ],
  "a program without the library that a child of vfork executes finds what was logged": [
    "logged",
    "loggedBytes",
    ["malloc 11 0 0", "open 0 0 4 0", "writeat 0 11 0 -1 0 0", "run 0 0 4"],
  ],
  "a forked child has the signals that its parent had": [
    "logged",
    "loggedBytes",
    ["mmap 6 45056 0", "open 1 0 6 0", "writeat 1 6 0 -1 0 0", "child 1 0 0", "jump 6 0 -1 0"],
  ],
  "a file that gets a name of the patterns by an exchange is logged from then on": [
    "logged",
    "loggedBytes",
    [
      "malloc 1 45056 47",
      "open 0 1 6 0",
      "open 0 5 142 0",
      "rename 1 5 4",
      "open 2 1 268 7",
      "writeat 0 1 36864 16384 32149 4",
      "writeat 2 1 0 5000 0 0",
      "status 0 1 3",
    ],
  ],
  "the time of a file stays as it was set when the file is opened again": [
    "logged",
    "loggedBytes",
    [
      "malloc 1 4096 0",
      "open 1 1 4 0",
      "writeat 1 1 0 -1 0 0",
      "open 0 0 4 0",
      "times 0 0 5 0",
      "open 0 0 0 0",
      "status 0 0 0",
    ],
  ],
  "a file that got a name of the patterns by another process is logged once it is opened by that": [
    "logged",
    "loggedBytes",
    [
      "malloc 1 65536 34",
      "open 1 1 12 2",
      "open 1 5 12 0",
      "child 1 3 0",
      "rename 5 1 4",
      "open 2 1 262 5",
      "writeat 2 1 0 5000 0 0",
      "writeat 1 1 53248 77824 4096 6",
    ],
  ],
  "a file that is open by a name of no pattern is logged once it is used by another": [
    "logged",
    "loggedBytes",
    ["open 0 0 4 0", "link 0 5 -1", "run 0 5 0"],
  ],
};

for (const [sentence, [mode, proof, operations]] of Object.entries(found))
  test(sentence, { timeout: 100_000 }, async (context) => {
    const refusal = await userfaultfdRefusal();
    if (refusal) context.skip(refusal);
    const scratch = mkdtempSync(join(tmpdir(), "zio-found-"));
    onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
    const library = await preloadableLibrary();
    const executor = { program, library, provider: providerPath(), scratch, timeoutMs: 60_000 };
    const file = join(scratch, "program");
    writeFileSync(file, `${operations.join("\n")}\n`);
    const plain = await execute(executor, file);
    expect(plain.ending).toBe("exit status 0");
    const zio = await execute(executor, file, mode);
    expect(compareRuns(plain, zio)).toBeUndefined();
    expect(zio.counters[proof]).toBeGreaterThan(0);
  });
