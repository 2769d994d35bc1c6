import { describeVictim } from "./support/both-ways.js";

describeVictim("stacks", {
  "a coroutine on a viewed heap block copies, receives and sends at every depth": "coroutine-on-heap",
  "a coroutine on a viewed mapping copies, receives and sends at every depth": "coroutine-on-mapping",
  "a coroutine receives into the unused part of its own stack": "received-into-own-stack",
  "two coroutines on viewed stacks hand each other views": "two-coroutines",
  "a thread runs on a viewed stack, which is received into again afterwards": "thread-on-viewed-stack",
  "a signal handler runs on a viewed alternate stack": "alternate-stack",
});
