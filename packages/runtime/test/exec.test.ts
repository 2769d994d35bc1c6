import { expect, expectTypeOf, test } from "vitest";
import { userfaultfdProblem } from "../src/doctor/userfaultfd.js";
import { type ExecResult, exec, ZioError } from "../src/index.js";
import { compileProgram } from "./support/run-zio.js";

test("a program's output, status and counters are the result, and its copies are elided", async ({ skip }) => {
  const program = await compileProgram("copy_through.c");
  const input = Buffer.alloc(1 << 20, "zIO ");
  const result = await exec(program, [], { input, zio: { policy: "always" } });
  expect({ same: result.stdout === input.toString(), status: result.status, signal: result.signal }).toEqual({
    same: true,
    status: 0,
    signal: null,
  });
  expect(result.problem).toBeUndefined();
  const problem = userfaultfdProblem();
  skip(problem !== undefined, problem?.reason);
  expect(result.zio.elidedBytes).toBeGreaterThan(0);
});

test("a status other than 0 and a signal are results", async () => {
  const failed = await exec("sh", ["-c", "echo out; echo err >&2; exit 3"]);
  expect(failed).toMatchObject({ stdout: "out\n", stderr: "err\n", status: 3, signal: null });
  expect(await exec("sh", ["-c", "kill -TERM $$"])).toMatchObject({ status: null, signal: "SIGTERM" });
});

test("a program that does not read its input does no harm", async () => {
  expect(await exec("true", [], { input: Buffer.alloc(1 << 20) })).toMatchObject({ status: 0 });
});

test("a missing program is a ZioError", async () => {
  await expect(exec("zio-test-missing")).rejects.toThrow(ZioError);
});

test("the result is a union by its ending", () => {
  type Killed = Extract<ExecResult, { status: null }>;
  expectTypeOf<Killed["signal"]>().toEqualTypeOf<NodeJS.Signals>();
});
