import { describeVictim } from "./support/both-ways.js";

describeVictim("overwrite", {
  "copies keep the old bytes when any page of the receive buffer is written": "write-source",
  "both ends of a chain keep the old bytes when its middle is written": "write-middle",
  "the source of a copy keeps its bytes when the copy is written": "write-end",
  "copies send the old bytes after another buffer of the chain was written": "write-then-send",
  "stores, memset, memcpy, recv, raw recv, raw pread and string stores into the source do not reach its copies":
    "writers-on-source",
  "the same writers on the middle of a chain do not reach its ends": "writers-on-middle",
  "the same writers on the end of a chain do not reach its beginning": "writers-on-end",
  "a copy keeps the first message when the next is received into the same buffer": "receive-again",
  "48 messages received one after the other into one buffer are all kept by their copies": "generations",
  "48 messages received into an unaligned buffer are all kept by their copies": { args: ["generations", "1777"] },
  "messages survive while some are touched, overwritten or freed and later ones arrive": "mixed-generations",
  "a shorter message at any offset replaces only its own bytes": "shorter-message",
  "a message received over a copy replaces only its own bytes": "receive-over-copy",
  "read and pread from sockets and files behave as recv does": "by-read-too",
  "every second link of a long chain can be half overwritten": "long-chain",
});
