import { expect, test } from "vitest";
import { interleave } from "../src/schedule.js";

const cells = [0, 4, 8].map((copies) => ({ name: `${copies} copies`, parameters: { copies } }));
const slots = (pairs: number) => [...interleave(cells, ["plain", "zio"], pairs)];

test("two rounds run as a mirror of each other, so that contenders come as A B B A", () => {
  const order = slots(2).map(({ cell, contender }) => `${contender}${cell.parameters.copies}`);
  const first = ["plain0", "zio0", "plain4", "zio4", "plain8", "zio8"];
  expect(order).toEqual([...first, ...[...first].reverse()]);
});

test("every cell has one sample of each contender in each pair", () => {
  const seen = new Set(slots(5).map(({ pair, cell, contender }) => `${pair} ${cell.name} ${contender}`));
  expect(seen.size).toBe(5 * 3 * 2);
  expect(slots(5).map(({ position }) => position)).toEqual(Array.from({ length: 30 }, (_, index) => index));
});

test("over an even number of pairs no contender comes first more often", () => {
  const first = slots(4).filter(({ position }) => position % 2 === 0);
  expect(first.filter(({ contender }) => contender === "plain")).toHaveLength(first.length / 2);
});
