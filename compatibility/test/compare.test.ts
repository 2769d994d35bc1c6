import { expect, it } from "vitest";
import { compare } from "../src/compare.js";

it("calls runs with equal outcomes the same", () => {
  const outcome = { checks: 3, failed: [], same: { hash: "x" } };
  expect(compare(outcome, outcome)).toEqual({
    result: "same",
    checks: 4,
    baseline: [],
    repeated: { plain: [], zio: [] },
    differences: [],
  });
});

it("lists what fails plain as the baseline and does not hold it against zIO", () => {
  const verdict = compare({ checks: 3, failed: ["b", "a"] }, { checks: 3, failed: ["a"] });
  expect(verdict).toMatchObject({ result: "same", baseline: ["a", "b"] });
});

it("finds a check that fails under zIO only", () => {
  const verdict = compare({ checks: 3, failed: ["a"] }, { checks: 3, failed: ["a", "b"] });
  expect(verdict.differences).toEqual(["b: fails under zIO only"]);
});

it("finds values that differ, and values that are missing", () => {
  const verdict = compare(
    { checks: 0, failed: [], same: { a: "1", b: "2" } },
    { checks: 0, failed: [], same: { a: "3" } },
  );
  expect(verdict.result).toBe("differs");
  expect(verdict.differences).toEqual(['a: plain "1", zIO "3"', 'b: plain "2", zIO nothing']);
});

it("finds a suite that ran fewer checks under zIO", () => {
  expect(compare({ checks: 3, failed: [] }, { checks: 2, failed: [] }).result).toBe("differs");
});

it("does not call runs the same that checked nothing", () => {
  expect(compare({ checks: 0, failed: [] }, { checks: 0, failed: [] }).result).toBe("differs");
});
