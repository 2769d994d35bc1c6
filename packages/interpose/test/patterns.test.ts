// Which names ZIO_NVM_FILES means.
import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { joinPatterns } from "../src/index.js";
import { libraryIncludes } from "./support/chosen-library.js";

test("globs match names and paths", async () => {
  const program = await compileC({
    sources: [
      join(import.meta.dirname, "native/patterns_test.c"),
      join(import.meta.dirname, "../native/file_patterns.c"),
    ],
    includes: libraryIncludes,
    sanitizers: ["address", "undefined"],
  });
  const { stdout, stderr } = await runProgram(program, []);
  expect(stderr.toString()).toBe("");
  expect(stdout.toString()).toBe("patterns hold\n");
});

test("patterns are joined so that they can be taken apart again", () => {
  expect(joinPatterns(["a:b", "c\\d", "*.log"])).toBe("a\\:b:c\\\\d:*.log");
});
