// Case 15, traps 1 to 4, 6 and 8: processes (victims/forks.c, clones.c, launches.c).
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

describeVictim("forks", {
  "parent and child keep the bytes of the fork, whoever overwrites them first and how": "both-sides",
  "children of children keep them too": "generations",
  "one thread forks while others receive, copy and send": "busy-threads",
  "several threads fork at once": {
    args: ["forking-threads"],
    expectElision: { elided: 0 }, // while others fork no view is made; the copies at the start may all meet that
  },
  "a signal handler may fork in the middle of IO": "in-handler",
  "two hundred forks from a busy heap": "two-hundred",
  "a child saves a snapshot while the parent receives over it": "snapshot",
  "MADV_WIPEONFORK and MADV_DONTFORK hold for views": "advice",
  "what one side unmaps, advises away or protects stays with the other": "unmapped-on-one-side",
  "the program's own fork handlers may copy and do IO": "atfork-handlers",
  "waitpid tells how each child ended": "endings",
});

test("children of children go on eliding, each with a handler of its own", async (context) => {
  const { zio } = await bothWays({ victim: "forks", args: ["generations"], modes: ["always"] }, context);
  const pages = zio.always?.stats.processes ?? [];
  expect(pages.filter(({ counters }) => (counters.elidedBytes ?? 0) > 0 && (counters.faults ?? 0) > 0)).toHaveLength(5);
});

const jemalloc = ["/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/usr/lib/aarch64-linux-gnu/libjemalloc.so.2"];
describe("with jemalloc and its background thread", () => {
  describeVictim(
    "forks",
    { "two hundred forks": "two-hundred", "one thread forks while others are busy": "busy-threads" },
    {
      preload: [jemalloc.find((path) => existsSync(path)) ?? "libjemalloc.so.2"],
      env: { MALLOC_CONF: "background_thread:true,dirty_decay_ms:1,muzzy_decay_ms:0" },
      complete: false,
    },
  );
});

describeVictim("blocked_forks", {
  "a handler that receives on every tick lets the thread under it go on, though a fork waits for that": "busy-handler",
});

describeVictim("clones", {
  "a child of _Fork has the parent's bytes and does not disturb it": "_Fork",
  "a child of clone without shared memory does so": "clone",
  "a child of the raw clone system call does so": "raw-clone",
  "a child of the raw fork system call does so": "raw-fork",
  "a child of the raw clone3 system call does so": "raw-clone3",
  "a child that shares only the descriptors does so": "clone-files",
  "a child cloned by the instruction itself does not disturb its parent": "direct-clone",
  "nor does one of clone3": "direct-clone3",
  "children of children, each born another way, do so": "mixed-lineage",
  "a child that closes every descriptor goes on": "closing-children",
  "vfork children close, dup, read and copy in the parent's memory": "vfork-children",
  "vfork and exec leave the parent's views alone": "vfork-exec",
  "a process that shares the memory may copy and receive beside the parent": "shared-memory-process",
});

describeVictim("launches", {
  "posix_spawn starts programs that do the same": "posix-spawn",
  "system returns the shell's status": { args: ["system"] },
  "popen reads and writes through pipes and files": "popen",
  "daemon keeps the views": "daemon",
  "exec replaces a process with views, also with threads in IO; a failed exec changes nothing": "exec-with-views",
  "exec from a thread works": "exec-from-thread",
  "a program started without zIO inherits no descriptor of it": "inherited-descriptors",
});
