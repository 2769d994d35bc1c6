// Case 9: every way to ask for input (victims/input_entries.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("input_entries", {
  "read fills buffers of any alignment, size and history": "read",
  "readv fills its pieces": "readv",
  "recv fills buffers of any alignment, size and history": "recv",
  "recvfrom reports no address on a stream": "recvfrom",
  "recvmsg fills its pieces and leaves the header's vector alone": "recvmsg",
  "recvmmsg fills its pieces and counts them": "recvmmsg",
  "pread reads at its position and leaves the file's": "pread",
  "pread64 reads at its position and leaves the file's": "pread64",
  "preadv reads at its position and leaves the file's": "preadv",
  "preadv64 reads at its position and leaves the file's": "preadv64",
  "preadv2 reads at its position and leaves the file's": "preadv2",
  "preadv2 at position -1 reads on": "preadv2-here",
  "fread delivers the file through any buffer": "fread",
  "fgets and getline find every line in a viewed buffer": "fgets",
  "copies, touches, frees and forks leave errno alone": "errno",
});
