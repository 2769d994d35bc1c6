// A view of one page keeps no origin for long (victims/compaction.c).
import { expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";

const messageBytes = 512 * 1024;
const small = { ZIO_MEMORY_LIMIT: "4M" };

describeVictim("compaction", {
  "at the limit, origins of which a page is left make room for new ones": {
    args: ["sixty"],
    env: small,
    expectElision: { redirected: 55 * messageBytes, elided: 0 },
  },
  "hundreds of messages of which a page is left": { args: ["many"], expectElision: { elided: 0 } },
  "origins are emptied while threads copy and look": { args: ["in-threads"], env: small },
});

test("hundreds of messages of which a page is left do not keep their origins", async (context) => {
  const { zio } = await bothWays(
    { victim: "compaction", args: ["many"], modes: ["always"], expectElision: { elided: 0 } },
    context,
  );
  const totals = zio.always?.stats.totals ?? {};
  expect(totals.redirectedBytes).toBeGreaterThanOrEqual(390 * messageBytes);
  expect(totals.compactions).toBeGreaterThan(0);
  expect(totals.originBytes).toBeLessThan(200 * messageBytes);
});
