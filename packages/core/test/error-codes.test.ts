import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { dataPlaneErrors, ZioError } from "../src/index.js";

test("src/error-codes.ts is what the generator makes of error.h", async () => {
  const generator = join(import.meta.dirname, "../scripts/generate-error-codes.mjs");
  expect(await runProgram(process.execPath, [generator, "--check"])).toMatchObject({ status: 0, stderr: "" });
});

test("the list is complete", () => {
  const header = readFileSync(new URL("../include/zio/error.h", import.meta.url), "utf8");
  expect(Object.keys(dataPlaneErrors).length).toBe(header.match(/\bX\(E/g)?.length);
});

test("a ZioError carries code, system call, errno and cause", () => {
  const cause = new Error("why");
  const error = new ZioError("cannot", { code: "ENOMEM", syscall: "mmap", errno: 12, cause });
  expect(error).toMatchObject({
    name: "ZioError",
    message: "cannot",
    code: "ENOMEM",
    syscall: "mmap",
    errno: 12,
    cause,
  });
});
