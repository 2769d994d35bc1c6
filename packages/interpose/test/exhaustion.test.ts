// Case 20: IO and processes where maps, memory and limits end (victims/exhaustion.c).
import { describe } from "vitest";
import { describeVictim } from "./support/both-ways.js";

const tiny = { ZIO_MEMORY_LIMIT: "1M" };

describeVictim("exhaustion", {
  "input, copies, output and fork go on when no more maps are to be had": "no-more-maps",
  "what is free for the program is enough with zIO": "few-maps",
  "much data is right": "much-data",
  "much data is right in 1 MiB of origins": { args: ["much-data"], env: tiny },
  "one input beyond all memory for origins is right": { args: ["large-input"], env: tiny, expectElision: false },
  "a limit of address space leaves the program its share": { args: ["address-space"], expectElision: false },
  "a limit of data leaves the program its share": { args: ["data-limit"], expectElision: false },
  "a limit of address space from the start does so": { args: ["address-space-at-start"], expectElision: false },
  "mlockall locks what the program has": { args: ["locked-memory"], expectElision: false },
});

describe("in 1 MiB of origins", () => {
  const shared = { env: tiny, complete: false };
  describeVictim("forks", { "snapshots are right": "snapshot", "both sides are right": "both-sides" }, shared);
  describeVictim("stamps", { "no word goes back": "all" }, shared);
  describeVictim("output_refusals", { "partial writes resume": "resume" }, shared);
});
