import { expect, test } from "vitest";
import { runProgram } from "../src/index.js";

test("a program's input, output, status and environment pass through", async () => {
  const result = await runProgram("/bin/sh", ["-c", 'cat; printf "%s" "$WORD" >&2; exit 7'], {
    env: { WORD: "hello" },
    stdin: "bytes",
  });
  expect(result).toEqual({ status: 7, signal: null, stdout: Buffer.from("bytes"), stderr: "hello" });
});

test("a program that a signal ends has no status", async () => {
  const result = await runProgram("/bin/sh", ["-c", "kill -TERM $$"]);
  expect(result).toMatchObject({ status: null, signal: "SIGTERM" });
});

test("a program that does not end in time is killed", async () => {
  await expect(runProgram("/bin/sleep", ["60"], { timeoutMs: 100 })).rejects.toThrow("did not end within 100 ms");
});
