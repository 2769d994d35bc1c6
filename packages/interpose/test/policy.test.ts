// `learn` reckons with the costs that it is told.
import { capabilities } from "@zio/fault-handler";
import { beforeEach, expect, test } from "vitest";
import { countersAfter, messageBytes } from "./support/echo-counters.js";

const messages = 100;

beforeEach((ctx) => {
  const found = capabilities();
  if (!found.available) ctx.skip(`userfaultfd is unavailable: ${found.reason}`);
});

test("where the book-keeping costs nothing, every input is redirected and every copy elided", async () => {
  const counters = await countersAfter(messages, 1, { costs: { input: 0, elide: 0, overwrite: 0, fault: 0, page: 0 } });
  expect(counters["fallbacks.backed-off"]).toBe(0);
  expect(counters.elidedBytes).toBeGreaterThan((messages - 2) * messageBytes);
});

test("where redirecting costs more than the copies, a site is left alone at once", async () => {
  const counters = await countersAfter(messages, 1, { costs: { input: 10_000_000 } });
  expect(counters["fallbacks.backed-off"]).toBeGreaterThan(messages / 2);
  expect(counters.redirectedBytes).toBeLessThan(20 * messageBytes);
});

test("what one copy does not pay for, twelve do", async () => {
  const dear = { elide: 60_000, input: 20_000 };
  const [few, many] = [
    await countersAfter(messages, 1, { costs: dear }),
    await countersAfter(messages, 12, { costs: { ...dear, elide: 1000 } }),
  ];
  expect(few["fallbacks.backed-off"]).toBeGreaterThan(messages / 2);
  expect(many["fallbacks.backed-off"]).toBe(0);
});

test("each thread may have buffers of its own made missing without charge", async () => {
  const [threads, each] = [8, 30];
  const counters = await countersAfter(each, 4, { costs: { page: 20_000 } }, {}, [], { connections: threads });
  expect(counters.evictions).toBeGreaterThan(20); // what one thread may
  expect(counters["fallbacks.backed-off"]).toBe(0);
  expect(counters.elidedBytes).toBeGreaterThan((4 * threads * each * messageBytes) / 2);
});

test("what small copies cost is found out, whatever it was said to be", async () => {
  const bytes = 64 << 10;
  // By these numbers views save 2.8 ms a message; in fact no copy takes as long as the input is said to.
  const said = { copy: 1_000_000, elide: 300_000, input: 200_000, overwrite: 0 };
  const counters = await countersAfter(messages, 4, { costs: said }, {}, [], { bytes });
  expect(counters.elidedBytes).toBeGreaterThan(4 * 10 * bytes);
  expect(counters["fallbacks.backed-off"]).toBeGreaterThan(messages / 2);
  const cheap = await countersAfter(messages, 4, { costs: { ...said, elide: 0 } }, {}, [], { bytes });
  expect(cheap["fallbacks.backed-off"]).toBe(0);
});

test("what a try costs is paid for by CPU time before the next one", async () => {
  const bytes = 64 << 10;
  const counters = await countersAfter(1000, 0, { costs: { input: 10_000_000 } }, {}, [], { bytes });
  expect(counters["fallbacks.backed-off"]).toBeGreaterThan(900);
  expect(counters.redirectedBytes).toBeLessThanOrEqual(bytes); // the second try would be due after 256 inputs
});

test("one bad word, and all costs are the defaults", async () => {
  const counters = await countersAfter(messages, 4, {}, { ZIO_COSTS: "input=10000000,inputs=1" });
  expect(counters["fallbacks.backed-off"]).toBe(0);
  expect(counters.elidedBytes).toBeGreaterThan(4 * (messages - 2) * messageBytes);
});
