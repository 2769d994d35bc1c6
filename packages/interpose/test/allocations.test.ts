// Trap 18: functions that no hook sees, on memory that shows what was received (victims/allocations.c,
// libraries/visiting.c).
import { existsSync } from "node:fs";
import { describeVictim } from "./support/both-ways.js";
import { compileVictimLibrary } from "./support/compile-victim.js";

const env = { VISITING_LIBRARY: await compileVictimLibrary("visiting") };
const jemalloc = ["x86_64", "aarch64"].map((machine) => `/usr/lib/${machine}-linux-gnu/libjemalloc.so.2`);

describeVictim(
  "allocations",
  {
    "blocks come by malloc and by realloc in turn": "by-turns",
    "a library loaded with RTLD_DEEPBIND copies, reads, writes, unmaps and frees it": "deep-bound",
    "a library with a libc of its own (dlmopen) does so": "other-namespace",
    "jemalloc's extended interface takes it and gives it back": {
      args: ["extended"],
      preload: [jemalloc.find((path) => existsSync(path)) ?? "libjemalloc.so.2"],
    },
  },
  { env },
);
