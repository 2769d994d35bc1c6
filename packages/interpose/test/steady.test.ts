// What is done again and again costs nothing more the thousandth time (victims/steady.c).
import { describeVictim } from "./support/both-ways.js";
import { tooSmall } from "./support/elision.js";

describeVictim("steady", {
  "echoes through fresh memory leave no maps, descriptors or memory behind": "echoes",
  "connections closed with data unread leave nothing behind": "connections",
  "threads leave nothing behind": "threads",
  "forks leave nothing behind": "forks",
  "crumbs of large inputs do not keep the inputs": { args: ["crumbs"], underLearn: tooSmall },
});
