import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { abiVersion, packageVersion } from "../src/index.js";

const packageRoot = join(import.meta.dirname, "..");

test("the package knows its version", () => {
  expect(packageVersion).toMatch(/^\d+\.\d+\.\d+/);
});

test("the addon tells the version of the C interface", () => {
  expect(abiVersion).toBe(0);
});

test("the C code tells the version of its headers", async () => {
  const program = await compileC({
    sources: [join(packageRoot, "test/native/version_test.c"), join(packageRoot, "native/version.c")],
    includes: [join(packageRoot, "include"), join(packageRoot, "native")],
    sanitizers: ["address", "undefined"],
  });
  expect(await runProgram(program)).toMatchObject({ status: 0, stderr: "" });
});
