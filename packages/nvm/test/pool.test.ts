import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { capabilities, createPool, inspectPool, Pool, PoolError, salvagePool } from "../src/index.js";
import { native } from "../src/load-native.js";

let directory: string;
let poolPath: string;
let filePath: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-nvm-"));
  poolPath = join(directory, "pool");
  filePath = join(directory, "file");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const create = { sizeBytes: 4 << 20 };
const entry = JSON.stringify(join(import.meta.dirname, "../dist/index.js"));

/** Runs a script that imports Pool, until it prints a line; then kills it. */
async function runAndKill(script: string): Promise<void> {
  const source = `import { Pool } from ${entry};\n${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("what is appended is read at once, and is in the file after a digest", async () => {
  const pool = await Pool.open(poolPath, { create });
  const log = await pool.log(filePath);
  expect(await log.append(Buffer.from("hello "))).toBe(0);
  expect(await log.append([Buffer.from("wor"), Buffer.from("ld")])).toBe(6);
  await log.sync();
  expect((await log.read({ offset: 3 })).toString()).toBe("lo world");
  expect((await log.read({ offset: 6, length: 2 })).toString()).toBe("wo");
  expect((await log.read({ offset: 99 })).length).toBe(0);
  expect(readFileSync(filePath, "utf8")).toBe("");
  await log.digest();
  expect(readFileSync(filePath, "utf8")).toBe("hello world");
  await pool.close();
  await expect(log.append(Buffer.from("x"))).rejects.toThrow("is closed");
});

test("many appends at once stay in order, and wrap a small pool several times", async () => {
  const pool = await Pool.open(poolPath, { create: { sizeBytes: 1 << 20, checksumData: true } });
  const log = await pool.log(filePath);
  const chunks = Array.from({ length: 1200 }, (_, i) => randomBytes(1 + ((i * 7919) % 9000)));
  const offsets = await Promise.all(chunks.map((chunk) => log.append(chunk)));
  let end = 0;
  for (const [i, chunk] of chunks.entries()) {
    expect(offsets[i]).toBe(end);
    end += chunk.length;
  }
  const whole = Buffer.concat(chunks);
  expect((await log.read({ offset: 0 })).equals(whole)).toBe(true);
  expect(pool.stats().digests).toBeGreaterThan(2);
  await pool.close();
  expect(readFileSync(filePath).equals(whole)).toBe(true);
});

test("syncs at once share commits", async () => {
  const pool = await Pool.open(poolPath, { create });
  const logs = await Promise.all([1, 2, 3, 4].map((i) => pool.log(`${filePath}${i}`)));
  const work = logs.map(async (log) => {
    for (let i = 0; i < 25; i++) {
      await log.append(Buffer.from(`${i};`));
      await log.sync();
    }
  });
  await Promise.all(work);
  expect(pool.stats().commits).toBeGreaterThan(0);
  expect(pool.stats().commits).toBeLessThanOrEqual(100);
  await pool.close();
});

test("the event loop turns while native work waits", async () => {
  const pool = await Pool.open(poolPath, { create });
  const log = await pool.log(filePath);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await Promise.all(Array.from({ length: 300 }, () => log.append(Buffer.alloc(60_000)).then(() => log.sync())));
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
  await pool.close();
});

test("after SIGKILL the next open applies every append that had resolved", async () => {
  await runAndKill(`
    const pool = await Pool.open(${JSON.stringify(poolPath)}, { create: { sizeBytes: 4 << 20 } });
    const log = await pool.log(${JSON.stringify(filePath)});
    for (let i = 0; i < 50; i++) await log.append(Buffer.from(i + ";"));
    console.log("ready");
    setInterval(() => {}, 1000);`);
  expect(readFileSync(filePath, "utf8")).toBe("");
  const report = await inspectPool(poolPath);
  expect(report).toMatchObject({
    records: 50,
    recovery: { wasClean: false, sameBoot: true },
    files: [{ path: filePath }],
  });
  const pool = await Pool.open(poolPath);
  expect(pool.recovery).toMatchObject({ wasClean: false, sameBoot: true, records: 50 });
  expect(readFileSync(filePath, "utf8")).toBe(Array.from({ length: 50 }, (_, i) => `${i};`).join(""));
  await pool.close();
});

describe("a file that was changed after the process had died", () => {
  beforeEach(async () => {
    await runAndKill(`
      const pool = await Pool.open(${JSON.stringify(poolPath)}, { create: { sizeBytes: 4 << 20 } });
      const log = await pool.log(${JSON.stringify(filePath)});
      await log.append(Buffer.from("logged"));
      await log.sync();
      console.log("ready");
      setInterval(() => {}, 1000);`);
    await sleep(20);
    writeFileSync(filePath, "foreign bytes");
  });

  test("is not overwritten unless that is accepted", async () => {
    const refused = await Pool.open(poolPath).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(PoolError);
    expect(refused).toMatchObject({ code: "FILE_CHANGED", path: filePath });
    expect((refused as PoolError).message).toContain("`zio nvm recover --accept-changed`");
    expect(readFileSync(filePath, "utf8")).toBe("foreign bytes");
    await (await Pool.open(poolPath, { acceptChanged: true })).close();
    expect(readFileSync(filePath, "utf8")).toBe("logged" + "n bytes");
  });

  test("leaves what was logged to be salvaged", async () => {
    const target = join(directory, "salvaged");
    const report = await salvagePool(poolPath, target);
    const [file] = report.files;
    expect(file).toMatchObject({ path: filePath, ranges: [[0, 6]] });
    expect(readFileSync(file?.salvaged ?? "", "utf8")).toBe("logged");
    expect(JSON.parse(readFileSync(join(target, "manifest.json"), "utf8"))).toMatchObject({ version: 1, records: 1 });
    expect(readFileSync(filePath, "utf8")).toBe("foreign bytes");
    await expect(salvagePool(poolPath, target)).rejects.toMatchObject({ code: "EEXIST" });
  });
});

test("a pool that is open is refused to a second opener, who is told by whom", async () => {
  const pool = await Pool.open(poolPath, { create });
  for (const attempt of [() => Pool.open(poolPath), () => inspectPool(poolPath)])
    await expect(attempt()).rejects.toMatchObject({
      code: "IN_USE",
      message: `${poolPath}: the pool is in use by another process, ${process.pid}`,
    });
  await pool.close();
});

test("a pool grows", async () => {
  const pool = await Pool.open(poolPath, { create });
  await pool.resize(8 << 20);
  expect(pool.stats().sizeBytes).toBe(8 << 20);
  const log = await pool.log(filePath);
  await log.append(Buffer.alloc(5 << 20, 1));
  await pool.close();
  expect(readFileSync(filePath).length).toBe(5 << 20);
});

test.each([
  ["no file", () => {}, "ENOENT", /open: ENOENT/],
  ["not a pool", () => writeFileSync(poolPath, Buffer.alloc(1 << 20, 7)), "NOT_A_POOL", /this is not a pool$/],
  [
    "a foreign version",
    () => change((bytes) => [8, 12296].map((at) => bytes.writeUInt32LE(9, at))),
    "FOREIGN_VERSION",
    /another version, at offset 8 of the pool$/,
  ],
  [
    "a truncated pool",
    () => change((bytes) => bytes.subarray(0, 1 << 20)),
    "TRUNCATED",
    /at offset 1048576 of the pool$/,
  ],
  [
    "both superblocks damaged",
    () => change((bytes) => [4100, 8196].map((at) => bytes.writeUInt32LE(9, at))),
    "SUPERBLOCK_DAMAGED",
    /at offset 4096 of the pool$/,
  ],
])("%s is refused with a clear error", async (_, damage, code, message) => {
  if (code !== "ENOENT") await createPool(poolPath, create);
  damage();
  // One after the other: each of them locks the pool while it looks.
  for (const attempt of [() => Pool.open(poolPath), () => inspectPool(poolPath)]) {
    const error = await attempt().catch((error: unknown) => error);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(message);
  }
});

function change(edit: (bytes: Buffer) => Buffer | unknown): void {
  const bytes = readFileSync(poolPath);
  const edited = edit(bytes);
  writeFileSync(poolPath, Buffer.isBuffer(edited) ? edited : bytes);
}

test("sizes that cannot be are RangeErrors, and a pool is not made over a file", async () => {
  await expect(createPool(poolPath, { sizeBytes: 1000 })).rejects.toThrow(RangeError);
  await expect(createPool(poolPath, { sizeBytes: -4096 })).rejects.toThrow(RangeError);
  await expect(createPool(poolPath, { sizeBytes: 4096 })).rejects.toMatchObject({ code: "EINVAL" });
  writeFileSync(poolPath, "mine");
  await expect(createPool(poolPath, create)).rejects.toMatchObject({ code: "EEXIST" });
  expect(readFileSync(poolPath, "utf8")).toBe("mine");
});

test("capabilities tell what a directory would make of a pool", async () => {
  expect(await capabilities("/dev/shm")).toEqual({
    available: true,
    directory: "/dev/shm",
    medium: "dram",
    flush: "none",
    survivesPowerCut: false,
  });
  expect(await capabilities(join(directory, "absent"))).toMatchObject({
    available: false,
    reason: expect.stringContaining("ENOENT"),
  });
});

test("every kind of problem of the C library has its name in TypeScript", () => {
  const source = readFileSync(join(import.meta.dirname, "../src/pool-error.ts"), "utf8");
  const union = /export type PoolProblemKind =([^;]*);/.exec(source)?.[1] ?? "";
  const names = [...union.matchAll(/"(\w+)"/g)].map((match) => match[1]);
  expect(["NONE", ...names]).toEqual(native().problemTable);
});
