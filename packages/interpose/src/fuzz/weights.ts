// Which operations there are on memory, channels and processes, and how often they come.

/** How often each operation comes, next to the others. */
export const weights = [
  ["recv", 170],
  ["recvall", 30],
  ["scatter", 30],
  ["packet", 25],
  ["empty", 8],
  ["pread", 60],
  ["stdio", 10],
  ["copy", 260],
  ["shift", 50],
  ["set", 40],
  ["store", 50],
  ["load", 40],
  ["look", 40],
  ["atomic", 8],
  ["compare", 10],
  ["send", 90],
  ["gather", 25],
  ["post", 20],
  ["overfill", 6],
  ["pwrite", 40],
  ["malloc", 35],
  ["mmap", 25],
  ["free", 15],
  ["realloc", 40],
  ["swap", 12],
  ["madvise", 25],
  ["remap", 20],
  ["mremap", 30],
  ["protect", 12],
  ["lock", 4],
  ["fork", 12],
  ["threads", 8],
  ["vfork", 5],
  ["spawn", 2],
  ["cancel", 4],
  ["alarm", 4],
  ["jump", 3],
  ["mallopt", 4],
] as const;

export type MemoryVerb = (typeof weights)[number][0];

/** In every program. Of the others each has about half, so that what one operation undoes lives long in some. */
export const always: readonly MemoryVerb[] = ["recv", "copy", "send", "look", "pread", "malloc"];
