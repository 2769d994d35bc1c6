import { describe, expect, test } from "vitest";
import { estimateMedian, median, quantile, seededRandom, spread } from "../src/statistics.js";

describe("medians and spread", () => {
  test("are those of the sorted values, interpolated", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20);
    expect(quantile([1, 2], 0.75)).toBe(1.75);
    expect(quantile([7], 0.9)).toBe(7);
  });

  test("are robust against one wild value", () => {
    const { median: middle, iqr, mad } = spread([10, 11, 12, 13, 14, 15, 1000]);
    expect(middle).toBe(13);
    expect(iqr).toBe(3);
    expect(mad).toBe(2);
  });

  test("of nothing is an error, not a number", () => {
    expect(() => median([])).toThrow(RangeError);
  });

  test("leave the values in their order", () => {
    const values = [3, 1, 2];
    spread(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe("the seeded generator", () => {
  test("repeats itself, is uniform enough and differs between seeds", () => {
    const draw = (seed: number) => Array.from({ length: 10_000 }, seededRandom(seed));
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    const mean = draw(7).reduce((sum, value) => sum + value, 0) / 10_000;
    expect(mean).toBeGreaterThan(0.49);
    expect(mean).toBeLessThan(0.51);
    expect(Math.min(...draw(8))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draw(8))).toBeLessThan(1);
  });
});

describe("the bootstrap interval", () => {
  test("holds the median and lies within the values", () => {
    const { median: middle, low, high } = estimateMedian([1.7, 1.8, 1.75, 1.9, 1.6, 1.82, 1.79]);
    expect(middle).toBe(1.79);
    expect(low).toBeGreaterThanOrEqual(1.6);
    expect(low).toBeLessThan(middle);
    expect(high).toBeGreaterThan(middle);
    expect(high).toBeLessThanOrEqual(1.9);
  });

  test("is the same every time and a point for equal values", () => {
    expect(estimateMedian([1, 5, 2, 8])).toEqual(estimateMedian([1, 5, 2, 8]));
    expect(estimateMedian([2, 2, 2])).toEqual({ median: 2, low: 2, high: 2 });
    expect(estimateMedian([4])).toEqual({ median: 4, low: 4, high: 4 });
  });

  test("holds the true median in about 95 of 100 experiments", () => {
    const random = seededRandom(42);
    let held = 0;
    for (let experiment = 0; experiment < 200; experiment++) {
      const values = Array.from({ length: 15 }, () => random() + random() + random());
      const { low, high } = estimateMedian(values, 500, experiment);
      if (low <= 1.5 && 1.5 <= high) held++;
    }
    expect(held).toBeGreaterThanOrEqual(180);
  });
});
