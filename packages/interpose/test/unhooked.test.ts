// Case 13, traps 14 and 15: calls that nobody hooks (victims/unhooked.c, kernel_holds.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("unhooked", {
  "raw read, write, send and receive calls see and fill views": "raw-calls",
  "so do system calls by the instruction itself": "direct-calls",
  "system calls read and write small structures inside views": "structures",
  "process_vm_readv and writev reach views, of this process and from another": "process-vm",
  "futexes and mutexes work in viewed memory": "futexes",
  "sendfile, splice, tee, copy_file_range and message queues pass viewed data on": "files-and-queues",
  "POSIX asynchronous IO reads and writes views": "posix-aio",
  "received machine code runs from a copy": "executed",
  "the kernel finds robust mutexes in views": "robust",
  "MADV_POPULATE_READ, PAGEOUT and the like succeed on views": "populated",
});

describeVictim("kernel_holds", {
  "pages given to a pipe by vmsplice keep their bytes while others are recycled": "vmspliced",
  "what is received into vmspliced memory comes out of the pipe, as plain": "vmspliced-then-received",
  "the application's own MSG_ZEROCOPY sends its bytes and completes once": "zerocopy",
  "elided output leaves no completion or error behind": { args: ["no-strange-completions"] },
  "Linux AIO reads and writes views": "linux-aio",
  "io_uring reads, writes, sends and receives in views": "ring-io",
  "io_uring's fixed buffers stay the memory that the program sees": "fixed-buffers",
  // Without UFFDIO_MOVE a documented limit: nobody sees the registration.
  "so do those registered by the instruction itself": {
    args: ["fixed-buffers-direct"],
    modes: ["always", "learn"],
  },
});
