// How long a site that was left alone rests before it is tried again.
import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { libraryIncludes } from "./support/chosen-library.js";

test("a rest lasts two hundred times what the try before it cost", async () => {
  const program = await compileC({
    sources: [join(import.meta.dirname, "native/policy_rest_test.c")],
    includes: libraryIncludes,
    sanitizers: ["address", "undefined"],
  });
  const { stdout, stderr } = await runProgram(program, []);
  expect(stderr.toString()).toBe("");
  expect(stdout.toString()).toBe("rests hold\n");
});
