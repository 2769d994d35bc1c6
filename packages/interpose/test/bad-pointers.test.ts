// Case 9 and trap 19: arguments that point nowhere or to memory that is not writable (victims/bad_pointers.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("bad_pointers", {
  "a read from a pipe into a partly writable buffer returns what fitted and keeps the rest": "input-pipe",
  "a recv from a Unix socket into a partly writable buffer returns what fitted and keeps the rest": "input-unix",
  "a recv from TCP into a partly writable buffer loses nothing": "input-tcp",
  "a read from a file into a partly writable buffer advances by what fitted": "input-file",
  "output from a partly readable buffer puts out what the plain call does": "output",
  "a length beyond the buffer is no error while the data fits, and wild lengths give the plain error": "lengths",
  "null and wild pointers give EFAULT and lose no data": "nothing",
  "bad descriptors give EBADF and descriptors of other kinds ENOTSOCK, at every entry point": "descriptors",
  "vectors, headers and addresses may lie in viewed memory": "viewed-arguments",
});
