import { describe } from "vitest";
import { describeVictim, type Sentences } from "./support/both-ways.js";

const changes: Sentences = {
  "memory unmapped and mapped again is zero": "unmapped-and-mapped-again",
  "memory mapped over is zero": "mapped-over",
  "a file mapped over views shows its bytes": "file-mapped-over",
  "MADV_DONTNEED leaves zeros": "discarded",
  "MADV_DONTNEED leaves zeros to write on": "discarded-then-written",
  "MADV_FREE leaves old bytes or zeros, and what is written later stays": "freed-lazily",
  "other advice changes no bytes": "advised",
  "calls that fail change nothing": "failures",
  "protected views raise SIGSEGV where plain memory does": "protected",
  "output of protected memory and input into it fail as they do for plain memory": "protected-from-output",
  "copies to and from protected memory fault as they do for plain memory": "protected-from-copies",
  "unmapped memory stays unmapped": "unmapped",
};

const moves: Sentences = {
  "a mapping grows in place": "grown-in-place",
  "a mapping grows and moves": "grown-elsewhere",
  "a mapping shrinks and grows again": "shrunk-and-grown",
  "a mapping moves to a fixed place": "moved-to-fixed-place",
  "a mapping moves over views": "moved-over-views",
  "a mapping of which a part was mapped anew moves to a fixed place": "moved-in-pieces",
  "two mappings trade places": "traded-places",
  "MREMAP_DONTUNMAP leaves zeros behind": "left-behind",
  "the middle of a mapping moves away": "moved-middle",
  "the program break goes back over views and up again": "moved-break",
};

/** The same sub-cases with each change made by a raw system call. */
function raw(sentences: Sentences): Sentences {
  return Object.fromEntries(Object.entries(sentences).map(([sentence, subCase]) => [sentence, `${subCase} raw`]));
}

describe("through libc", () => {
  describeVictim("mappings", changes);
  describeVictim("remaps", moves);
});

describe("by raw system calls", () => {
  describeVictim("mappings", raw(changes));
  describeVictim("remaps", raw(moves));
});
