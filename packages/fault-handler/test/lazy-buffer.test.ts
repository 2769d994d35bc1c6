import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { capabilities, LazyBuffer } from "../src/index.js";
import { refusal } from "../src/lazy-buffer.js";

const pageBytes = 4096;
const possible = capabilities();
const whyNot = possible.available ? "" : `no userfaultfd: ${possible.reason}`;
const builtPackage = join(import.meta.dirname, "../dist/index.cjs");

const directory = mkdtempSync(join(tmpdir(), "zio-lazy-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Bytes that differ from page to page and repeat nowhere nearby. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 12) * 7 + 1) & 0xff;
  return bytes;
}

let fileCount = 0;
function fileOf(bytes: Uint8Array): string {
  const path = join(directory, `file-${fileCount++}`);
  writeFileSync(path, bytes);
  return path;
}

/** Disposes of it at the end of the test. */
function kept(lazy: LazyBuffer): LazyBuffer {
  onTestFinished(() => lazy.dispose());
  return lazy;
}

function threadNames(): string[] {
  return readdirSync("/proc/self/task").map((tid) => readFileSync(`/proc/self/task/${tid}/comm`, "utf8").trim());
}

const content = pattern(1_000_003);
let path = "";
beforeAll(() => {
  path = fileOf(content);
});

describe.skipIf(whyNot !== "")(`filled on touch${whyNot && `: ${whyNot}`}`, () => {
  test("nothing is filled before the first touch, then the touched page, then ever larger windows", () => {
    const lazy = kept(LazyBuffer.from(content));
    expect(lazy).toMatchObject({ lazy: true, reason: undefined, byteLength: content.length });
    expect(lazy.stats()).toEqual({ faults: 0, filledBytes: 0 });
    const view = new Uint8Array(lazy.buffer);
    expect(view[5 * pageBytes]).toBe(content[5 * pageBytes]);
    expect(lazy.stats()).toEqual({ faults: 1, filledBytes: pageBytes });
    for (let i = 0; i < content.length; i += 100) view[i];
    const { faults, filledBytes } = lazy.stats();
    expect(filledBytes).toBe(Math.ceil(content.length / pageBytes) * pageBytes);
    expect(faults).toBeLessThan(20);
  });

  test.each(["copy", "transfer"] as const)("it shows the bytes of its source (%s)", (ownership) => {
    const lazy = kept(LazyBuffer.from(content.slice(), { ownership }));
    expect(Buffer.from(lazy.buffer).equals(content)).toBe(true);
  });

  test("it shows the bytes of a file, given by path, URL, descriptor or handle", () => {
    const fd = openSync(path, "r");
    const buffers = [path, new URL(`file://${path}`), fd, { fd }].map((file) => kept(LazyBuffer.fromFile(file)));
    closeSync(fd); // it is not needed any more
    for (const { buffer, lazy } of buffers) {
      expect(lazy).toBe(true);
      expect(Buffer.from(buffer).equals(content)).toBe(true);
    }
  });

  test("any range of a file reads as read() gives it, and zeros beyond its end", () => {
    fc.assert(
      fc.property(
        fc.nat(content.length + 10_000),
        fc.integer({ min: 1, max: 300_000 }),
        fc.array(fc.nat(300_000), { minLength: 1, maxLength: 40 }),
        fc.constantFrom(4096, 16384, 262144),
        (offset, length, touches, maxWindowBytes) => {
          using lazy = LazyBuffer.fromFile(path, { offset, length, maxWindowBytes });
          const view = new Uint8Array(lazy.buffer);
          const expected = new Uint8Array(length);
          expected.set(content.subarray(offset, offset + length));
          for (const touch of touches) expect(view[touch % length]).toBe(expected[touch % length]);
          expect(Buffer.compare(view, expected)).toBe(0);
          expect(lazy.errorCount).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a view in the middle of its buffer is shown from its own first byte", () => {
    const lazy = kept(LazyBuffer.from(content.subarray(12_345, 54_321)));
    expect(Buffer.from(lazy.buffer).equals(content.subarray(12_345, 54_321))).toBe(true);
    const other = kept(LazyBuffer.from(content.slice().subarray(12_345, 54_321), { ownership: "transfer" }));
    expect(Buffer.from(other.buffer).equals(content.subarray(12_345, 54_321))).toBe(true);
  });

  test("what is done to a copied source afterwards does not show", () => {
    const source = content.slice();
    const lazy = kept(LazyBuffer.from(source));
    source.fill(0);
    expect(Buffer.from(lazy.buffer).equals(content)).toBe(true);
  });

  test("a transferred source is detached, so nobody can change it", () => {
    const source = content.slice();
    kept(LazyBuffer.from(source, { ownership: "transfer" }));
    expect(source.byteLength).toBe(0);
  });

  test("a small Buffer out of the shared pool cannot be transferred, and is left alone", () => {
    const pooled = Buffer.from("a small one");
    const attempt = () => LazyBuffer.from(pooled, { ownership: "transfer" });
    expect(attempt).toThrow(expect.objectContaining({ name: "ZioError", code: "NOT_TRANSFERABLE" }));
    expect(pooled.toString()).toBe("a small one");
    expect(() => LazyBuffer.from(new SharedArrayBuffer(8), { ownership: "transfer" })).toThrow(TypeError);
  });

  test("the memory of a lazy buffer cannot be transferred away", () => {
    const { buffer } = kept(LazyBuffer.from(content));
    expect(() => LazyBuffer.from(buffer, { ownership: "transfer" })).toThrow(
      expect.objectContaining({ code: "NOT_TRANSFERABLE" }),
    );
    expect(Buffer.from(buffer).equals(content)).toBe(true);
  });

  test("shared memory is copied at once", () => {
    const shared = new SharedArrayBuffer(100_000);
    new Uint8Array(shared).fill(7);
    const lazy = kept(LazyBuffer.from(shared));
    new Uint8Array(shared).fill(8);
    expect(new Uint8Array(lazy.buffer).every((byte) => byte === 7)).toBe(true);
  });

  test("a lazy buffer can be the source of another", () => {
    const first = kept(LazyBuffer.from(content));
    const second = kept(LazyBuffer.from(first.buffer));
    expect(Buffer.from(second.buffer).equals(content)).toBe(true);
  });

  test("a system call that reads the buffer fills it", async () => {
    const lazy = kept(LazyBuffer.fromFile(path));
    const copy = join(directory, "copy");
    await writeFile(copy, new Uint8Array(lazy.buffer)); // in a thread of libuv
    expect(readFileSync(copy).equals(content)).toBe(true);
    expect(lazy.stats().faults).toBeGreaterThan(0);
  });

  test("what is written stays, around it the source shows, and the file does not change", () => {
    const lazy = kept(LazyBuffer.fromFile(path));
    const view = new Uint8Array(lazy.buffer);
    view[10_000] = 99;
    const expected = content.slice();
    expected[10_000] = 99;
    expect(Buffer.compare(view, expected)).toBe(0);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test("a file that became shorter does not hang: zeros, and the errors say where", () => {
    const shrinking = fileOf(content);
    const lazy = kept(LazyBuffer.fromFile(shrinking, { offset: 100 }));
    truncateSync(shrinking, 50 * pageBytes);
    const view = new Uint8Array(lazy.buffer);
    expect(view[10 * pageBytes]).toBe(content[10 * pageBytes + 100]);
    expect(lazy.errorCount).toBe(0);
    expect(view[60 * pageBytes]).toBe(0);
    expect(lazy.errors).toEqual([{ offset: 60 * pageBytes, length: pageBytes }]);
    expect(view.at(-1)).toBe(0);
    expect(lazy.errors[1]).toMatchObject({ length: content.length - 100 - (lazy.errors[1]?.offset ?? 0) });
    for (let i = 0; i < view.length; i += pageBytes) view[i];
    expect(lazy.errorCount).toBeGreaterThan(100);
    expect(lazy.errors).toHaveLength(16);
  });

  test("with poison a system call gets EFAULT instead of wrong bytes", async ({ skip }) => {
    if (possible.available && possible.missing.some(({ feature }) => feature === "poison")) skip("no UFFDIO_POISON");
    const shrinking = fileOf(content);
    const lazy = kept(LazyBuffer.fromFile(shrinking, { onError: "poison" }));
    truncateSync(shrinking, 0);
    const target = join(directory, "poisoned");
    await expect(writeFile(target, new Uint8Array(lazy.buffer, 0, 100))).rejects.toMatchObject({ code: "EFAULT" });
    expect(lazy.errorCount).toBeGreaterThan(0);
  });

  test("dispose detaches the buffer, gives the memory back and may be called twice", () => {
    const lazy = LazyBuffer.from(content);
    const view = new Uint8Array(lazy.buffer);
    view[0];
    lazy.dispose();
    lazy[Symbol.dispose]();
    expect(view.length).toBe(0);
    expect(lazy.buffer.byteLength).toBe(0);
    expect(lazy.stats().faults).toBe(1);
  });

  test("the thread is there only while a lazy buffer is", () => {
    expect(threadNames()).not.toContain("zio-handler");
    const first = LazyBuffer.from(content);
    const second = LazyBuffer.from(content);
    expect(threadNames().filter((name) => name === "zio-handler")).toHaveLength(1);
    first.dispose();
    expect(new Uint8Array(second.buffer)[0]).toBe(content[0]);
    second.dispose();
    expect(threadNames()).not.toContain("zio-handler");
  });

  test("a buffer outlives its LazyBuffer, and both are given back when collected", async () => {
    const script = `
      const { LazyBuffer } = require(process.argv[1]);
      const { readdirSync, readFileSync } = require("node:fs");
      const threads = () => readdirSync("/proc/self/task").map((t) => readFileSync("/proc/self/task/" + t + "/comm", "utf8").trim());
      const mapped = () => Number(/VmSize:\\s*(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
      (async () => {
        let buffer = LazyBuffer.from(new Uint8Array(1 << 20).fill(5)).buffer;
        for (let i = 0; i < 20; i++) { gc(); await new Promise((done) => setImmediate(done)); }
        if (new Uint8Array(buffer)[700000] !== 5) throw new Error("wrong byte");
        const before = mapped();
        for (let i = 0; i < 200; i++) {
          LazyBuffer.from(new Uint8Array(16 << 20), { ownership: "transfer" });
          if (i % 20 === 0) { gc(); await new Promise((done) => setImmediate(done)); }
        }
        buffer = undefined;
        for (let i = 0; i < 20; i++) { gc(); await new Promise((done) => setTimeout(done, 5)); }
        console.log(JSON.stringify({ grown: mapped() - before, threads: threads() }));
      })();`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--expose-gc", "-e", script, builtPackage], {
      encoding: "utf8",
    });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    const { grown, threads } = JSON.parse(stdout) as { grown: number; threads: string[] };
    expect(grown).toBeLessThan(400);
    expect(threads).not.toContain("zio-handler");
  });

  test("workers have their own, at the same time, and may end without disposing of them", async () => {
    const script = `
      const { parentPort, workerData } = require("node:worker_threads");
      const { LazyBuffer } = require(workerData.builtPackage);
      let sum = 0;
      for (let round = 0; round < 20; round++) {
        const lazy = LazyBuffer.fromFile(workerData.path);
        if (!lazy.lazy) throw new Error(lazy.reason);
        const view = new Uint8Array(lazy.buffer);
        for (let i = round; i < view.length; i += 997) sum += view[i];
        if (round % 2) lazy.dispose();
      }
      parentPort.postMessage(sum);`;
    let expected = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = round; i < content.length; i += 997) expected += content[i] ?? 0;
    }
    const mine = LazyBuffer.fromFile(path);
    const sums = await Promise.all(
      Array.from({ length: 4 }, () => {
        const worker = new Worker(script, { eval: true, workerData: { builtPackage, path } });
        return new Promise((resolve, reject) => {
          let sum: unknown;
          worker.once("message", (message) => {
            sum = message;
          });
          worker.once("error", reject);
          worker.once("exit", () => resolve(sum));
        });
      }),
    );
    expect(sums).toEqual([expected, expected, expected, expected]);
    expect(Buffer.from(mine.buffer).equals(content)).toBe(true);
    mine.dispose();
    expect(threadNames()).not.toContain("zio-handler");
  });

  test("a program that closes every descriptor still gets its bytes", () => {
    const script = `
      const { LazyBuffer } = require(process.argv[1]);
      const { closeSync } = require("node:fs");
      const lazy = LazyBuffer.fromFile(process.argv[2]);
      for (const number of require("node:fs").readdirSync("/proc/self/fd").map(Number)) {
        if (number > 512) try { closeSync(number); } catch {}
      }
      const second = LazyBuffer.fromFile(process.argv[2]);
      const { createHash } = require("node:crypto");
      const hash = (buffer) => createHash("sha256").update(new Uint8Array(buffer)).digest("hex");
      console.log(hash(lazy.buffer) === hash(second.buffer), new Uint8Array(lazy.buffer)[5000]);
      lazy.dispose();
      second.dispose();`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ["-e", script, builtPackage, path], {
      encoding: "utf8",
      timeout: 20_000,
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: `true ${content[5000]}\n`, stderr: "", status: 0 });
  });

  test("without UFFDIO_MOVE and UFFDIO_POISON it works the same", () => {
    const script = `
      const { LazyBuffer } = require(process.argv[1]);
      const source = require("node:fs").readFileSync(process.argv[2]);
      const lazy = LazyBuffer.from(source);
      console.log(lazy.lazy, Buffer.from(lazy.buffer).equals(source));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["-e", script, builtPackage, path], {
      encoding: "utf8",
      env: { ...process.env, ZIO_DISABLE: "move,poison,procmap-query,thread-id" },
    });
    expect({ stdout, stderr }).toEqual({ stdout: "true true\n", stderr: "" });
  });
});

describe("where pages cannot be filled on touch", () => {
  test("everything is filled at once, and the reason is said", () => {
    const shown = [
      LazyBuffer.from(content, { disable: ["userfaultfd"] }),
      LazyBuffer.from(content.slice(), { disable: ["userfaultfd"], ownership: "transfer" }),
      LazyBuffer.fromFile(path, { disable: ["userfaultfd"] }),
    ];
    for (const buffer of shown) {
      expect(buffer.lazy).toBe(false);
      expect(buffer.reason).toBe("userfaultfd is masked by ZIO_DISABLE; remove it from the list");
      expect(Buffer.from(buffer.buffer).equals(content)).toBe(true);
      expect(buffer.stats()).toEqual({ faults: 0, filledBytes: content.length });
      expect(buffer.errors).toEqual([]);
      buffer.dispose();
    }
  });

  test("an ordinary user without the right gets the same bytes", ({ skip }) => {
    if (process.getuid?.() !== 0) skip("needs root to become an ordinary user");
    const script = `
      process.setgid(65534);
      process.setuid(65534);
      const { capabilities, LazyBuffer } = require(process.argv[1]);
      const lazy = LazyBuffer.from(new Uint8Array(100000).fill(3));
      console.log(JSON.stringify({ found: capabilities(), lazy: lazy.lazy, reason: lazy.reason, byte: new Uint8Array(lazy.buffer)[99999] }));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["-e", script, builtPackage], { encoding: "utf8" });
    expect(stderr).toBe("");
    const { found, lazy, reason, byte } = JSON.parse(stdout);
    expect(byte).toBe(3);
    if (found.available) skip("an ordinary user may use userfaultfd here");
    expect(lazy).toBe(false);
    expect(reason).toBe(`${found.reason}; ${found.fix}`);
  });

  test("a range of no bytes, and what is no regular file, are filled at once", () => {
    expect(LazyBuffer.from(new Uint8Array(0))).toMatchObject({ lazy: false, byteLength: 0, reason: "it is empty" });
    expect(LazyBuffer.fromFile(path, { offset: content.length })).toMatchObject({ lazy: false, byteLength: 0 });
    const zeros = LazyBuffer.fromFile("/dev/zero", { length: 5000 });
    expect(zeros).toMatchObject({ lazy: false, byteLength: 5000, reason: "not a regular file" });
    expect(new Uint8Array(zeros.buffer).every((byte) => byte === 0)).toBe(true);
    expect(() => LazyBuffer.fromFile("/dev/zero")).toThrow(TypeError);
  });

  test("a file of /proc, which says that it is empty, is empty", () => {
    expect(LazyBuffer.fromFile("/proc/self/maps").byteLength).toBe(0);
  });

  test("a file that is not there is a ZioError of open", () => {
    const attempt = () => LazyBuffer.fromFile(join(directory, "nothing"));
    expect(attempt).toThrow(expect.objectContaining({ name: "ZioError", code: "ENOENT", syscall: "open", errno: 2 }));
  });

  test("a descriptor that is not open is a ZioError", () => {
    expect(() => LazyBuffer.fromFile(12_345)).toThrow(expect.objectContaining({ name: "ZioError", code: "EBADF" }));
  });

  test("wrong arguments are RangeErrors", () => {
    expect(() => LazyBuffer.fromFile(path, { offset: -1 })).toThrow(RangeError);
    expect(() => LazyBuffer.fromFile(path, { length: 0.5 })).toThrow(RangeError);
    expect(() => LazyBuffer.from(content, { maxWindowBytes: 5000 })).toThrow(RangeError);
    expect(() => LazyBuffer.from(content, { maxWindowBytes: 1024 })).toThrow(RangeError);
    expect(() => LazyBuffer.fromFile(path, { length: Number.MAX_SAFE_INTEGER })).toThrow(RangeError);
  });

  test("a runtime without external ArrayBuffers is a ZioError that says what to do", () => {
    expect(refusal(null)).toMatchObject({ name: "ZioError", code: "NO_EXTERNAL_BUFFERS" });
    expect(refusal(null).message).toMatch(/run it under Node/);
  });
});
