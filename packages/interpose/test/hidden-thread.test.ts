// Traps 6 and 7, case 19: neither a thread nor a descriptor shows (victims/hidden_thread.c, descriptors.c,
// descriptor_numbers.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("hidden_thread", {
  "there is one thread until the first large input": "lazy",
  "a process whose main thread left ends with its last thread, which elides": {
    args: ["pthread-exit"],
    expectElision: { elided: 5 * 192 * 1024 },
  },
  "unshare works with views pending": "unshare",
  "setns works with views pending": "setns",
  "every thread follows setuid, and views go on working": "dropped-privileges",
  "a server's workers elide after the title was set and privileges dropped": {
    args: ["server-workers"],
    expectElision: { elided: 10 * 192 * 1024 }, // the grandchild may not write where the counters are
  },
  "a server that gives up the right to have further processes elides": {
    args: ["no-further-process"],
    expectElision: { elided: 5 * 192 * 1024 },
  },
  "where no thread may be started, input is plain": { args: ["no-more-threads"], expectElision: false },
  "chroot takes nothing away": "chroot",
  "signals reach the program's threads only, also with all of them blocked": "signals",
  "a stopped process goes on": "stopped",
});

describeVictim("descriptors", {
  "new descriptors get the numbers that they get without zIO": "numbers",
  "descriptors 0 to 2, closed at the start, stay free": "closed-at-start",
  "close finds only the program's own descriptors": "close-all",
  "a raw close_range takes no views away, and its numbers can be used again": "raw-close-range",
  "closefrom and fork leave the views": "closefrom",
  "dup2 over every number leaves the views": "dup2-over-all",
  "descriptors run out at the same number": { args: ["exhausted"], expectElision: false },
  "under a low limit the program has all descriptors of it": "limited-at-start",
});

describeVictim("descriptor_numbers", {
  "another file may be put under every number, and elision goes on": {
    args: ["replaced"],
    expectElision: { elided: 40 * 192 * 1024 },
  },
  "what the program did not open it cannot copy": "copied",
  "every number may be closed in every way, and elision goes on": {
    args: ["closed"],
    expectElision: { elided: 40 * 192 * 1024 },
  },
  "a listing of what is open shows the program's own": "listed",
  "the program's own descriptors may take every number": "reused",
  "the limit is reached at the same number, and elision goes on": {
    args: ["at-the-limit"],
    expectElision: { elided: 9 * 192 * 1024 },
  },
  "numbers may be closed and replaced while other threads do IO": "in-threads",
});
