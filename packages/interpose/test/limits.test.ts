import { describe } from "vitest";
import { describeVictim } from "./support/both-ways.js";
import { tooSmall } from "./support/elision.js";

const manyBuffers = { args: ["many-buffers"], underLearn: tooSmall };

describeVictim("limits", {
  "copies are real when two mappings are left": "no-mappings-left",
  "copies are real when twenty mappings are left": "no-mappings-left 20",
  "copies are real when two hundred mappings are left": "no-mappings-left 200",
  "input is plain when no mappings are left from the start": {
    args: ["no-mappings-from-the-start"],
    expectElision: false,
  },
  "thousands of pages touched one by one leave thousands of small views": "many-small-views",
  "three thousand buffers can be views at once": manyBuffers,
  "the address space may run out": "address-space-runs-out",
  "the address space may be short from the start": { args: ["address-space-is-short"], expectElision: false },
  "descriptors may run out before the first input": { args: ["no-descriptors-left"], expectElision: false },
  "descriptors may run out later": "no-descriptors-left 1",
  "a program may close every descriptor it did not open": "foreign-descriptors-closed",
  "a program may close them by raw system calls": "foreign-descriptors-closed 1",
});

describe("with 2 MiB for origins", () => {
  const env = { ZIO_MEMORY_LIMIT: "2M" };
  describeVictim(
    "overwrite",
    { "48 messages are kept": "generations", "messages survive": "mixed-generations" },
    { env, complete: false },
  );
  describeVictim("ranges", { "copies of all lengths come out whole": "lengths" }, { env, complete: false });
  describeVictim("limits", { "three thousand buffers are right": manyBuffers }, { env, complete: false });
});
