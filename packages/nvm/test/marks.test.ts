// The attribute of files that may be older than what was acknowledged.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPool, Pool } from "../src/index.js";

const attribute = "user.zio.pool";
const reader = "import os, sys; print(os.getxattr(sys.argv[1], sys.argv[2]).decode(), end='')";
const writer = "import os, sys; os.setxattr(sys.argv[1], sys.argv[2], b'x'); os.removexattr(sys.argv[1], sys.argv[2])";

let directory: string;
let pool: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-marks-"));
  pool = join(directory, "pool");
});
afterEach(() => rmSync(directory, { recursive: true }));

async function markOf(path: string): Promise<string | undefined> {
  const { status, stdout } = await runProgram("python3", ["-c", reader, path, attribute]);
  return status === 0 ? stdout.toString() : undefined;
}

/** Why files here cannot be marked, or undefined. */
async function attributesProblem(): Promise<string | undefined> {
  const path = join(directory, "tried");
  writeFileSync(path, "");
  const { status, stderr } = await runProgram("python3", ["-c", writer, path, attribute]);
  return status === 0 ? undefined : `no extended attributes here: ${stderr.trim().split("\n").at(-1)}`;
}

test("a file is marked as long as the pool has it in use", async (context) => {
  const problem = await attributesProblem();
  if (problem) context.skip(problem);
  const file = join(directory, "file");
  await createPool(pool, { sizeBytes: 16 << 20 });
  const opened = await Pool.open(pool);
  expect(await markOf(file)).toBeUndefined();
  const log = await opened.log(file);
  await log.append(Buffer.from("text"));
  expect(await markOf(file)).toBe(`${statSync(file).ino} ${pool}`);
  await opened.digest();
  expect(await markOf(file)).toBe(`${statSync(file).ino} ${pool}`);
  await opened.close();
  expect(await markOf(file)).toBeUndefined();
});

test("after a crash files stay marked until they are recovered, those too of which the log has nothing", async (context) => {
  const problem = await attributesProblem();
  if (problem) context.skip(problem);
  const [one, other] = [join(directory, "one"), join(directory, "other")];
  const script = `
    import { createPool, Pool } from ${JSON.stringify(join(import.meta.dirname, "../dist/index.js"))};
    await createPool(${JSON.stringify(pool)}, { sizeBytes: 16 << 20 });
    const pool = await Pool.open(${JSON.stringify(pool)});
    const one = await pool.log(${JSON.stringify(one)});
    await pool.log(${JSON.stringify(other)});
    await one.append(Buffer.from("text"));
    process.kill(process.pid, "SIGKILL");`;
  const { signal, stderr } = await runProgram(process.execPath, ["--input-type=module", "-e", script]);
  expect([signal, stderr]).toEqual(["SIGKILL", ""]);
  for (const file of [one, other]) expect(await markOf(file)).toBe(`${statSync(file).ino} ${pool}`);
  expect(statSync(one).size).toBe(0);
  await (await Pool.open(pool)).close();
  for (const file of [one, other]) expect(await markOf(file)).toBeUndefined();
  expect(statSync(one).size).toBe(4);
});
