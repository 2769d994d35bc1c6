import { expect, it } from "vitest";
import { runParts } from "../src/parts.js";

it("sums the parts and runs each that passes once", async () => {
  const ran: string[] = [];
  const outcome = await runParts(["a", "b"], async (part) => {
    ran.push(part);
    return { checks: 2, failed: [] };
  });
  expect(outcome).toEqual({ checks: 4, failed: [], repeated: [] });
  expect(ran).toEqual(["a", "b"]);
});

it("calls failed what fails again, and repeated what does not", async () => {
  const results = [["x", "y"], ["y"], ["y"]];
  const outcome = await runParts(["a"], async () => ({ checks: 3, failed: results.shift()! }));
  expect(outcome).toEqual({ checks: 3, failed: ["y"], repeated: ["x"] });
});

it("does not run a part a third time that failed the same way twice", async () => {
  let runs = 0;
  await runParts(["a"], async () => ({ checks: ++runs, failed: ["x"] }));
  expect(runs).toBe(2);
});

it("never runs two parts in one slot", async () => {
  const busy = new Set<number>();
  const outcome = await runParts(
    [..."abcdef"],
    async (_, slot) => {
      expect(busy.has(slot)).toBe(false);
      busy.add(slot);
      await new Promise((resolve) => setTimeout(resolve, 5));
      busy.delete(slot);
      return { checks: 1, failed: [] };
    },
    { parallel: 2 },
  );
  expect(outcome.checks).toBe(6);
});

it("takes nothing for passed that a part which ended early did not come to", async () => {
  const results = [
    { failed: ["runs to its end"], complete: false },
    { failed: ["x", "y"], complete: true },
    { failed: ["x"], complete: true },
  ];
  const outcome = await runParts(["a"], async () => ({ checks: 3, ...results.shift()! }));
  expect(outcome).toEqual({ checks: 3, failed: ["x"], repeated: ["runs to its end"] });
});
