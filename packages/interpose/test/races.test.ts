import { describeVictim } from "./support/both-ways.js";

describeVictim("races", {
  "eight threads may fault on the same page": "same-page",
  "eight threads may fault on all pages in the same order": "same-order",
  "eight threads may fault on different pages": "different-pages",
  "eight threads may fault from both ends": "both-ends",
  "eight threads that write to the same pages lose no byte": "writing",
  "readers never see zeros or an older message while views replace each other": "readers-against-views",
  "readers never see zeros or an older message while input arrives": {
    args: ["readers-against-input"],
    expectElision: { elided: 0 },
  },
  "readers never see zeros or an older message while views and bytes replace each other":
    "readers-against-views-and-bytes",
  "readers never see zeros or an older message while input and memset replace each other": {
    args: ["readers-against-input-and-sets"],
    expectElision: { elided: 0 },
  },
  "readers never see zeros or an older message whatever overwrites the view": "readers-against-all-kinds",
  "threads that map at each other's old addresses see their own bytes": "mappings-taken-over",
  "threads that allocate each other's freed blocks see their own bytes": "heap-taken-over",
  "pages may be discarded, unmapped and protected while others fault beside them": "neighbours-go",
});
