import { describeVictim } from "./support/both-ways.js";

describeVictim("eviction", {
  "resident memory becomes views again and again": "resident",
  "evicted memory can be overwritten for real": "overwritten-for-real",
  "what is written to views that were cleared is seen by a child": "cleared-then-written",
  "pages shared with a living child are not taken from it": "shared-with-living-child",
  "pages that were shared with a child which ended stay right": "shared-with-dead-child",
  "transparent huge pages give way to views": "huge-pages",
  "views can be collapsed into huge pages": "collapsed",
  // The first vmsplice ends zIO in the process (docs/fallbacks.md), here before anything was elided.
  "vmspliced memory that is freed keeps its bytes in the pipe": {
    args: ["spliced-then-freed"],
    expectElision: false,
  },
  "vmspliced memory that is overwritten shows its old or its new bytes in the pipe": {
    args: ["spliced-then-overwritten"],
    expectElision: false,
  },
  "buffers registered with io_uring are read and written where they are": {
    args: ["registered-with-io-uring"],
    expectElision: { elided: 0 }, // pinned pages cannot become views
  },
  "io_uring reads and writes views": "with-plain-io-uring",
});
