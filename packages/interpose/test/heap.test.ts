import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe } from "vitest";
import { describeVictim, type Sentences } from "./support/both-ways.js";

const sentences: Sentences = {
  "realloc from any size to any size keeps the bytes": "grow-and-shrink",
  "a buffer that grows step by step while it is filled keeps the bytes": "grow-step-by-step",
  "copies do not notice that their source is resized": "copies-of-resized",
  "a block that cannot grow in place moves with its bytes": "moved-by-neighbour",
  "a realloc that fails keeps the bytes": "refused",
  "a freed block is handed out again without old views": "freed-and-taken-again",
  "a freed block is cut up into small ones": "freed-and-cut-up",
  "calloc after free is zero": "cleared-after-free",
  "aligned_alloc, memalign, valloc, pvalloc and posix_memalign behave as malloc does": "aligned-forms",
  "every usable byte of a block may be received into": "every-usable-byte",
  "hundreds of random blocks keep their bytes": "churn 1",
  "hundreds of other random blocks keep their bytes": "churn 2",
  "a block may be freed by another thread": "freed-by-another-thread",
  "the heap may be trimmed and perturbed": "trimmed",
};

const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];

/** Where the dynamic linker would find `soname`; a missing library makes the test skip with this path as its reason. */
function libraryPath(soname: string): string {
  const paths = folders.map((folder) => join(folder, soname));
  return paths.find((path) => existsSync(path)) ?? paths[0]!;
}

describe("glibc", () => describeVictim("heap", sentences));

// The Debian packages libjemalloc2, libtcmalloc-minimal4 and libmimalloc2.0.
for (const soname of ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"])
  describe(soname, () =>
    describeVictim("heap", sentences, { preload: [libraryPath(soname)], modes: ["always", "learn"] }),
  );
