import { describeVictim } from "./support/both-ways.js";

describeVictim("handlers", {
  "handlers may copy views while the program they interrupt does": "copying-in-handlers",
  "handlers may touch views while the program they interrupt does": "touching-in-handlers",
  "handlers may interrupt each other": "nested-handlers",
  "another thread may send the signals": "storm-by-thread",
  "handlers may leave a copy by longjmp at any instruction": "jumped-out",
  "handlers may leave a receive by longjmp, and nothing is lost": "jumped-out-of-receive",
  "a thread may be cancelled at any instruction of a copy": "cancelled-anywhere",
  "a thread may be cancelled between copies": "cancelled-between",
  "a thread may be cancelled in a receive": "cancelled-in-receive",
  "a thread may end with its views in use": "threads-that-exit",
});
