import { describeVictim, type Sentences } from "./support/both-ways.js";

const writing: Sentences = {
  "every copying function copies, returns its pointer and keeps errno": "every-copier",
  "overlapping moves go both ways over plain head, views and plain tail": "overlapping",
  "overlapping moves by odd distances go both ways": "overlapping-odd",
  "a query buffer whose rest is moved to the front keeps its bytes": "query-buffer",
  "a copy of a range onto itself changes nothing": "onto-itself",
  "every setting function sets its range and only that": "every-setter",
  "a set range is copied on and received into": "set-then-copy",
};

// Nothing is received before __memset_chk & co. find the overflow in some of these, so bytes may not have moved yet.
const overflows: Sentences = Object.fromEntries(
  ["__memcpy_chk", "__memmove_chk", "__mempcpy_chk", "__memset_chk", "__explicit_bzero_chk"].map((name, index) => [
    `${name} ends the program when the destination is too small`,
    `checked-overflow ${index}`,
  ]),
);

describeVictim("functions", { ...writing, ...overflows });
describeVictim("functions_fortified", { ...writing, ...overflows });

describeVictim("reading", {
  "strlen, strnlen and wcsnlen run through views": "lengths",
  "searching functions run through views": "searches",
  "comparing functions run through two views": "comparisons",
  "string functions copy out of views": "string-copies",
  "string functions that nobody hooks write over views": "string-copies-over-views",
  "qsort, getline, open_memstream, asprintf and setenv work inside libc on views": "libc-at-work",
  "assigned structures are copied out of, into and within views": "structs",
  "loops by words, vectors, streaming stores and string instructions copy from views to views": "own-loops",
  "loads, stores and atomic operations may cross pages of a view": "accesses-across-pages",
  "thousands of single looks into two views see the right bytes": "sparse-looks",
});
