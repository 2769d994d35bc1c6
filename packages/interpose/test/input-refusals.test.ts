// Case 9: input that fails, falls short or takes nothing away (victims/input_refusals.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("input_refusals", {
  "a receive that would block leaves a plain, a received and a viewed buffer as they were": "eagain",
  "a short receive changes what it delivered and nothing after it": "short",
  "at the end of the data nothing changes": "eof",
  "MSG_PEEK shows the data and leaves it where it is, and SO_PEEK_OFF moves on": "peek",
  "MSG_TRUNC on TCP discards without writing to the buffer": "trunc-tcp",
  "a datagram longer than the buffer is cut, with the plain length and flags": "trunc-udp",
  "MSG_WAITALL gathers what comes in pieces": "waitall",
  "SO_RCVTIMEO ends a receive with what there is": "rcvtimeo",
  "receives that the kernel refuses leave the buffer as it was": "refused",
});
