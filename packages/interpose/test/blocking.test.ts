// Case 12: a blocked call holds up nothing (victims/blocking.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("blocking", {
  "while a receive blocks, its buffer keeps the old bytes and may be read, copied and written": "input",
  "while a send blocks, its buffer may be read and copied": "output",
  "a buffer unmapped, replaced or protected under a blocked receive gives the plain result": "buffer-goes",
  "data that found no place belongs to its file, not to its number, and can be peeked at": "undelivered-closed",
  "data that found no place gives EFAULT where there is none again, and then arrives": "undelivered-again",
  "a message that found no place is gone, and the next one comes": "undelivered-messages",
  "two receivers of one socket get a message each": "competing",
  "sixteen blocked receives hold up neither copies nor fork nor exit": "many-blocked",
});
