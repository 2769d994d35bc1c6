// Pages that are touched message after message are copied at once under `learn` (victims/touched_pages.c).
import { expect, test } from "vitest";
import { bothWays, describeVictim } from "./support/both-ways.js";
import { countersAfter, messageBytes } from "./support/echo-counters.js";

/** `learn` never backs off, and so goes on learning which pages are touched: a fault costs just more than copying one. */
const free = { elide: 0, input: 0, overwrite: 0, fault: 300, page: 0 };
const env = {
  ZIO_COSTS: Object.entries(free)
    .map(([name, cost]) => `${name}=${cost}`)
    .join(","),
};

describeVictim(
  "touched_pages",
  {
    "a copy of which the same pages are written each time": "copies",
    "an input of which the same pages are written each time": "inputs",
    "more such pages apart from each other than are kept, then fewer": "many-runs",
    "copies that go on from a buffer of views and kept pages": "onward",
    "memory that is new where pages were touched": "another-mapping",
    "an input into a buffer of which a touched page was made read-only": "protected-input",
    "threads and children with messages of their own": "threads",
  },
  { env },
);

for (const where of ["copies", "inputs", "many-runs", "onward", "threads"])
  test(`pages are kept, and others elided, in ${where}`, async (context) => {
    const { zio } = await bothWays({ victim: "touched_pages", args: [where], env, modes: ["learn"] }, context);
    const { keptBytes = 0, copiedBytes = 0, elidedBytes = 0 } = zio.learn?.stats.totals ?? {};
    expect(keptBytes).toBeGreaterThan(0);
    expect(copiedBytes).toBeGreaterThanOrEqual(keptBytes);
    expect(elidedBytes).toBeGreaterThan(keptBytes);
  });

test("an echo whose copy is touched in 12 places faults only while it learns and when it tries again", async () => {
  const messages = 400;
  const touchedPages = 12;
  const counters = await countersAfter(messages, 4, {}, {}, ["--touch", `${touchedPages}`, "--touch-mode", "write"]);
  expect(counters["fallbacks.backed-off"]).toBe(0);
  expect(counters.faults).toBeLessThan((touchedPages * messages) / 10);
  expect(counters.keptBytes).toBeGreaterThan(touchedPages * messages * 4096 * 0.8);
  expect(counters.keptBytes).toBeLessThan(touchedPages * messages * 4096 * 1.2);
  expect(counters.elidedBytes).toBeGreaterThan(messages * messageBytes * 3.5);
});

test("an echo whose copy is read as a whole elides the copies before it", async () => {
  const messages = 400;
  const counters = await countersAfter(messages, 4, { costs: free }, {}, ["--touch-percent", "100"]);
  expect(counters.faults).toBeLessThan(messages / 2);
  expect(counters.elidedBytes).toBeGreaterThan(messages * messageBytes * 2.5);
});

test("a message that is touched in no order is filled in large pieces once its site is left alone", async () => {
  const messages = 200;
  const touch = ["--touch-percent", "100", "--touch-order", "random"];
  const counters = await countersAfter(messages, 1, {}, { ZIO_COSTS: "" }, touch);
  expect(counters["fallbacks.backed-off"]).toBeGreaterThan(messages / 2);
  expect(counters.faults).toBeGreaterThan(0);
  expect(counters.faults).toBeLessThan(80);
});
