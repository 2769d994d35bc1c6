import { expect, test } from "vitest";
import { packageVersion } from "../src/index.js";

test("the package knows its version", () => {
  expect(packageVersion).toMatch(/^\d+\.\d+\.\d+/);
});
