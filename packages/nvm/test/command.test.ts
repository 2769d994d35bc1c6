// `zio nvm` as a user types it, by way of @zio/runtime.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inspectPool, Pool } from "../src/index.js";

const zioPath = join(import.meta.dirname, "../../../bin/zio");
const entry = JSON.stringify(join(import.meta.dirname, "../dist/index.js"));
let directory: string;
let pool: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-nvm-"));
  pool = join(directory, "pool");
  file = join(directory, "file");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function nvm(...words: string[]) {
  const { status, stdout, stderr } = await runProgram(zioPath, ["nvm", ...words]);
  return { status, stdout: stdout.toString(), stderr };
}

/** Leaves a pool as a process that was killed does: ten writes, the last of them not synced. */
async function leaveBehind(): Promise<void> {
  const script = `
    import { Pool } from ${entry};
    const pool = await Pool.open(${JSON.stringify(pool)}, { create: { sizeBytes: 1 << 20 } });
    const log = await pool.log(${JSON.stringify(file)});
    for (let i = 0; i < 10; i++) {
      if (i === 9) await log.sync();
      await log.append(Buffer.from("line " + i + "\\n"));
    }
    console.log("ready");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

const lines = (count: number) => Array.from({ length: count }, (_, i) => `line ${i}\n`).join("");

test("create makes a pool, which inspect and check show", async () => {
  const created = await nvm("create", pool, "--size", "2M", "--checksum", "--json");
  expect({ status: created.status, stderr: created.stderr }).toEqual({ status: 0, stderr: "" });
  const { stats } = JSON.parse(created.stdout);
  expect(stats).toMatchObject({ sizeBytes: 2 << 20, checksumsData: true, formatVersion: 2, medium: "disk" });
  const inspected = await nvm("inspect", pool);
  expect(inspected.stdout).toContain(`uuid       ${stats.uuid}\n`);
  expect(inspected.stdout).toContain("state      closed; nothing is to be applied");
  expect(await nvm("check", pool)).toEqual({
    status: 0,
    stdout: "state      closed; nothing is to be applied\n",
    stderr: "",
  });
  const again = await nvm("create", pool);
  expect(again).toEqual({ status: 1, stdout: "", stderr: `zio nvm: ${pool}: open: EEXIST\n` });
});

test("a pool in DRAM is said to be one", async () => {
  const inMemory = `/dev/shm/zio-nvm-${process.pid}`;
  try {
    const { status, stderr } = await nvm("create", inMemory, "--size", "1M");
    expect(status).toBe(0);
    expect(stderr).toContain("IT DOES NOT SURVIVE A POWER CUT");
  } finally {
    rmSync(inMemory, { force: true });
  }
});

test("recover applies what a killed process left", async () => {
  await leaveBehind();
  const before = JSON.parse((await nvm("inspect", pool, "--json")).stdout);
  expect(before).toMatchObject({ version: 1, records: 10, bytes: 70, recovery: { sameBoot: true, wasClean: false } });
  expect(before.files).toMatchObject([{ path: file, ranges: [[0, 70]] }]);
  expect(readFileSync(file, "utf8")).toBe("");
  expect(await nvm("recover", pool)).toEqual({ status: 0, stdout: "10 writes, 70 bytes\n", stderr: "" });
  expect(readFileSync(file, "utf8")).toBe(lines(10));
  expect((await nvm("digest", pool)).stdout).toBe("nothing was to be recovered\n");
});

test("of a damaged log check names the place, recover refuses, and salvage writes what is good before it", async () => {
  await leaveBehind();
  const { stats } = await inspectPool(pool);
  const bytes = readFileSync(pool);
  // Each write of a line takes 128 bytes: this is in the fifth.
  const at = stats.ringOffset + 4 * 128 + 70;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
  writeFileSync(pool, bytes);
  const where = `a record that was made durable is damaged, at offset ${stats.ringOffset + 4 * 128} of the pool`;
  const checked = await nvm("check", pool);
  expect(checked.status).toBe(1);
  expect(checked.stdout).toContain(where);
  const refused = await nvm("recover", pool);
  expect({ status: refused.status, stdout: refused.stdout }).toEqual({ status: 1, stdout: "" });
  expect(refused.stderr).toContain(where);
  expect(readFileSync(file, "utf8")).toBe("");
  const target = join(directory, "salvaged");
  const salvaged = await nvm("recover", pool, "--salvage", target, "--json");
  expect(salvaged.status).toBe(0);
  const [report] = JSON.parse(salvaged.stdout).files;
  expect(readFileSync(report.salvaged, "utf8")).toBe(lines(4));
});

test("a pool that is in use is named with who has it", async () => {
  const opened = await Pool.open(pool, { create: { sizeBytes: 1 << 20 } });
  expect(await nvm("digest", pool)).toEqual({
    status: 1,
    stdout: "",
    stderr: `zio nvm: ${pool}: the pool is in use by another process, ${process.pid}\n`,
  });
  await opened.close();
});
