// Case 11: one call stays one call, whatever it is made of (victims/iovecs.c, messages.c, atomic_writes.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("iovecs", {
  "vectors of 0 and 1 to 1024 pieces work, others give the plain error": "counts",
  "views that multiply the pieces beyond IOV_MAX still go out by one call": "multiplied",
  "a message of more than IOV_MAX pieces after translation stays one message": "one-message",
  "input scatters into a thousand pieces of viewed memory": "scattered",
  "pieces that overlap are filled and put out in their order": "overlapping",
});

describeVictim("messages", {
  "UDP, Unix datagram and SEQPACKET messages keep their boundaries and bytes": "boundaries",
  "a message that is too long gives EMSGSIZE and sends nothing": "too-long",
  "MSG_MORE builds one datagram of several sends": "more",
  "recvmmsg and sendmmsg count, cut and stop as plain": "many-at-once",
  "recvmmsg and sendmmsg relay views": {
    args: ["relayed-in-bulk"],
    expectElision: { redirected: 12 * 65_536, elided: 12 * 65_536, translated: 12 * 65_536 },
  },
  "SCM_RIGHTS beside large viewed data arrive once, also after partial sends": "descriptors",
  "a large receive ends where the next descriptors begin, and MSG_CTRUNC is told": "descriptor-boundaries",
  "credentials, addresses and packet information come with viewed data": "beside-the-data",
  "a pipe in packet mode delivers a packet a read": "packet-pipe",
  "a large receive ends at urgent data": "out-of-band",
});

describeVictim("atomic_writes", {
  "O_APPEND records of several processes stay whole": "append",
  "O_APPEND records through one shared descriptor stay whole": "append-shared",
  "O_APPEND records of more than a thousand pieces stay whole": "append-vectors",
  "records of up to PIPE_BUF bytes of several writers stay whole": "pipe-records",
  "a nonblocking pipe takes a record of PIPE_BUF bytes whole or not at all": "pipe-all-or-nothing",
  "O_DIRECT takes received and copied memory as it takes plain memory": "direct",
  "O_DIRECT may be switched on for an open file": "direct-switched",
});
