import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { expect, test } from "vitest";

test("the example of the README runs as it stands there", async () => {
  const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8");
  const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const entry = JSON.stringify(join(import.meta.dirname, "../dist/index.js"));
  const script = example.replace('"@zio/nvm"', entry);
  expect(script).not.toBe(example);
  const directory = mkdtempSync(join(tmpdir(), "zio-nvm-"));
  try {
    const { status, stdout, stderr } = await runProgram(process.execPath, ["--input-type=module", "-e", script], {
      cwd: directory,
    });
    expect({ status, stdout: stdout.toString(), stderr }).toEqual({ status: 0, stdout: "two apples\n\n", stderr: "" });
    expect(readFileSync(join(directory, "orders.log"), "utf8")).toBe("two apples\n");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
