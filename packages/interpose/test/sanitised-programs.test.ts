// Case 19: programs that were built with a sanitizer (victims/sanitised_address.c, sanitised_undefined.c). Under one that
// keeps shadow memory zIO is off: it stops every thread, the handler too, and then reads all memory.
import { describeVictim } from "./support/both-ways.js";

describeVictim("sanitised_address", {
  "a program with AddressSanitizer ends as it does plain": { args: ["messages"], expectElision: false },
});
describeVictim("sanitised_undefined", {
  "a program with UndefinedBehaviorSanitizer elides": "messages",
});
