// Case 10: output that the kernel takes in part, late or not at all (victims/output_refusals.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("output_refusals", {
  "a nonblocking pipe takes exactly what it has room for": "nonblocking-pipe",
  "a nonblocking Unix socket takes the plain count, then EAGAIN": "nonblocking-socket",
  "output resumes after partial writes while the sent part is overwritten": "resume",
  "a broken connection gives EPIPE and one SIGPIPE, or none with MSG_NOSIGNAL": "broken",
  "SIGPIPE without a handler ends the process": { args: ["killed"], expectElision: false },
  "a reader that leaves ends a blocked write with the count so far": "broken-half-way",
  "a signal ends a blocked write with the count so far, or EINTR": "interrupted",
  "SO_SNDTIMEO ends a send with the plain count": "sndtimeo",
  "RLIMIT_FSIZE and full devices give the plain counts and errors": "file-limits",
});
