import { describeVictim } from "./support/both-ways.js";

describeVictim("put_off", {
  "a program finds the handlers that it installed, by whatever function": "knows-its-handlers",
  "a signal that comes while views are copied is delivered once, with what it carries": "carried-values",
  "real-time signals are delivered in order": "queued-values",
  "in a handler those signals are blocked that the program wants blocked": "blocked-in-handlers",
  "and those of sigsuspend(2)'s mask, where it waited": "suspended",
  "many signals may come at once, and again in their handlers": "many-at-once",
  "a handler that is forgotten when it is called is called once each time": "forgotten-handlers",
  "a handler that no hook has seen may touch views": "installed-inline",
  "children change their own handlers only": "left-by-children",
  "copies of views change no signal mask": "copies-traced",
  "neither do messages that are passed on, nor are they received and sent by vector": "messages-traced",
});
