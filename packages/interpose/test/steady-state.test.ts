// An echo server of recv, N copies and send that runs for a while does nothing but move views: its counters say so.
import { capabilities, type KernelFeature } from "@zio/fault-handler";
import { expect, test } from "vitest";
import { countersAfter, messageBytes } from "./support/echo-counters.js";

for (const copies of [0, 4])
  for (const disable of [[], ["move"]] as const satisfies KernelFeature[][])
    test(`with ${copies} copies${disable.length > 0 ? " and UFFDIO_MOVE masked" : ""} further messages cost no fault and no page-table call`, async (ctx) => {
      const found = capabilities();
      if (!found.available) return ctx.skip(`userfaultfd is unavailable: ${found.reason}`);
      const few = await countersAfter(20, copies, { policy: "always", disable });
      const many = await countersAfter(320, copies, { policy: "always", disable });
      const further = (name: string) => (many[name] ?? 0) - (few[name] ?? 0);
      // A message that arrives in parts may have a part below the threshold, which is read straight.
      expect(further("redirectedBytes")).toBeGreaterThan(299 * messageBytes);
      expect(further("redirectedBytes")).toBeLessThanOrEqual(301 * messageBytes);
      expect(further("elidedBytes")).toBeGreaterThanOrEqual(299 * messageBytes * copies);
      expect(further("translatedBytes")).toBeGreaterThan(299 * messageBytes);
      // The first messages settle in: where a short input ends, a page may be copied once and be evicted later.
      expect(further("faults")).toBeLessThanOrEqual(5);
      expect(further("zeroFaults")).toBeLessThanOrEqual(5);
      expect(Math.abs(further("evictions"))).toBeLessThanOrEqual(60);
      expect(Math.abs(further("events"))).toBeLessThanOrEqual(60);
    });
