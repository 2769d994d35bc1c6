// Cases 3, 10 and 11: every way to put out memory that is partly viewed (victims/output_entries.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("output_entries", {
  "write puts out the bytes of the moment": "write",
  "writev puts out the bytes of the moment": "writev",
  "pwritev2 at position -1 writes on": "pwritev2-here",
  "send puts out the bytes of the moment": "send",
  "sendto puts out the bytes of the moment": "sendto",
  "sendmsg leaves the header and its vector alone": "sendmsg",
  "sendmmsg counts each message": "sendmmsg",
  "pwrite writes at its position and leaves the file's": "pwrite",
  "pwrite64 writes at its position and leaves the file's": "pwrite64",
  "pwritev writes at its position and leaves the file's": "pwritev",
  "pwritev64 writes at its position and leaves the file's": "pwritev64",
  "pwritev2 writes at its position and leaves the file's": "pwritev2",
  "fwrite writes through any buffer": "fwrite",
  "memory that was put out can be put out again, copied and looked at": "again",
  "RWF_APPEND, RWF_DSYNC and RWF_NOWAIT hold": "flags",
});
