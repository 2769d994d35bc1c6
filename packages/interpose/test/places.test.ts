import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { describeVictim } from "./support/both-ways.js";

// What is copied to such memory is never elided; that the source was received into an origin is checked.

// The kernel hands out huge pages beyond the reserved ones up to this number. Only root may change it; otherwise the
// sub-case skips where none are reserved.
const surplus = "/proc/sys/vm/nr_overcommit_hugepages";
let before: string | undefined;

beforeAll(() => {
  try {
    before = readFileSync(surplus, "utf8");
    writeFileSync(surplus, String(Math.max(Number(before), 8)));
  } catch {
    before = undefined;
  }
});

afterAll(() => {
  if (before !== undefined) writeFileSync(surplus, before);
});

describeVictim(
  "places",
  {
    "shared anonymous memory gets the bytes, and so does its second address": "shared-anonymous",
    "a child sees what is copied into shared memory": "shared-with-child",
    "a file mapped shared gets the bytes": "shared-file",
    "a file mapped privately is not written": "private-file",
    "a memfd gets the bytes": "memfd",
    "a System V segment gets the bytes": "system-v",
    "huge pages get the bytes": "huge-pages",
    "the stack gets the bytes": "stack",
    "a thread's stack gets the bytes": "thread-stack",
    "a growing mapping gets the bytes": "growing",
    "static and thread-local memory gets the bytes": "static-memory",
    "locked memory gets the bytes and stays resident": "locked",
    "views that are locked later become resident": "locked-later",
    "mlockall makes views resident and costs little": "all-locked",
    "one copy may cover private, shared and memfd memory": "across-kinds",
  },
  { expectElision: { elided: 0 } },
);
