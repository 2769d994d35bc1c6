import { describeVictim, type Sentences } from "./support/both-ways.js";

const writers = ["stores", "memset", "memcpy of plain bytes", "memcpy of views", "input"];

/** A sentence for each way in which part of a viewed buffer can be overwritten. */
function overwritten(after: string, subCase: string): Sentences {
  return Object.fromEntries(
    writers.map((writer, index) => [
      `a view overwritten in part by ${writer} at any alignment ${after}`,
      `${subCase} ${index}`,
    ]),
  );
}

describeVictim("ranges", {
  ...overwritten("sends the right mix", "overwrite-then-send"),
  ...overwritten("reads as the right mix", "overwrite-then-look"),
  "a viewed destination takes views, shifted views and bytes": "copy-over-view",
  "source and destination may be aligned differently": "alignments",
  "they may when the length is odd": "alignments 1",
  "they may when the length ends just before a page": "alignments 4095",
  "copies of 0 bytes to 8 MiB come out whole, and nothing behind them changes": "lengths",
  "a copy may span views, holes and plain memory": "spanning",
  "copies may start and end anywhere inside views": "subranges 1",
  "and anywhere else": "subranges 2",
  "buffers can be joined from slices and sliced again": "join-and-slice",
  "what lies behind a short message keeps the old bytes": "short-message",
  "parts of one buffer can be copied to other parts of it": "within-one-buffer",
});
