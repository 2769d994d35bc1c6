// Case 14: streams and readiness (victims/iostreams.cc, tls.c, readiness.c; stdio is in input- and output-entries).
import { describeVictim } from "./support/both-ways.js";

describeVictim(
  "iostreams",
  {
    "files through C++ streams with large buffers": { args: ["files"], expectElision: true },
    "lines through C++ streams": { args: ["lines"], expectElision: false },
    "strings, vectors and deques of received data": "containers",
    "a child's stream into the parent's": "through-a-child",
  },
  {},
);

describeVictim("tls", {
  "OpenSSL carries viewed data over TCP and Unix sockets": "echo",
  "OpenSSL digests viewed data": "digests",
});

describeVictim("readiness", {
  "poll, select, epoll and FIONREAD agree about what is left": "level",
  "an edge comes once for each arrival": "edges",
  "an edge-triggered server echoes from views": "server",
  "SO_RCVLOWAT, the counts and hang-up are as plain": "counts",
});
