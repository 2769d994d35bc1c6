// Cases 9 and 18, traps 11 and 12: signals, cancellation, longjmp and odd stacks in hooked calls (victims/io_signals.c,
// io_stacks.c).
import { describeVictim } from "./support/both-ways.js";

describeVictim("io_signals", {
  "a signal without SA_RESTART ends a blocked receive with EINTR and an unchanged buffer": "interrupted",
  "a signal ends a MSG_WAITALL receive with what had come": "interrupted-waitall",
  "with SA_RESTART a blocked receive goes on": "restarted",
  "a handler may copy, touch views and do IO in the middle of the same": "handler-does-io",
  "siglongjmp out of a blocked call leaves everything working": "longjmp-out",
  "a thread may be cancelled in any hooked call": "cancelled",
});

describeVictim("io_stacks", {
  "a thread's stack may lie in viewed memory": "stack",
  "a coroutine's stack may lie in viewed memory": "coroutine",
  "the signal stack may lie in viewed memory": "signal-stack",
  "calls of a thousand pieces need little of a small stack": "tight-stack",
  "and little of a small signal stack": "tight-signal-stack",
  "origins of calls that never came back are used again": {
    args: ["abandoned"],
    env: { ZIO_MEMORY_LIMIT: "16M" },
    expectElision: { elided: 20 * 256 * 1024 },
  },
});
