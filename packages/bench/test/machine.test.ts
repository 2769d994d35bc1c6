import { expect, test } from "vitest";
import { chooseCpus, machineFacts, parseCpuList } from "../src/machine.js";

test("kernel lists of processors are understood", () => {
  expect(parseCpuList("0-3,8,10-11")).toEqual([0, 1, 2, 3, 8, 10, 11]);
  expect(parseCpuList("5")).toEqual([5]);
  expect(parseCpuList("")).toEqual([]);
});

test("the two ends get different cores", () => {
  const chosen = chooseCpus();
  if (chosen) expect(chosen.server).not.toBe(chosen.client);
});

test("the facts of the machine are filled in", () => {
  const facts = machineFacts();
  expect(facts.kernel).toMatch(/^\d+\.\d+/);
  expect(facts.cores).toBeGreaterThan(0);
  expect(facts.cpuModel).not.toBe("");
  expect(facts.memoryBytes).toBeGreaterThan(1 << 20);
});
