import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { machineName, readFileStart } from "../src/target/elf.js";
import { compileProgram } from "./support/run-zio.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-elf-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function fileOf(content: string | Uint8Array): string {
  const path = join(directory, "file");
  writeFileSync(path, content);
  return path;
}

test("a dynamic program has its loader and this machine's architecture", async () => {
  const start = readFileStart(await compileProgram("idle.c"));
  expect(start).toMatchObject({ kind: "elf", elf: { bits: 64, littleEndian: true, type: 3 } });
  if (start.kind !== "elf") return;
  expect(start.elf.interpreter).toMatch(/\/ld-linux/);
  expect(machineName(start.elf.machine)).toBe({ x64: "x86-64", arm64: "AArch64" }[process.arch as string]);
});

test.each([[["-static"]], [["-static-pie"]]])("a program linked with %s has no loader", async (flags) => {
  const start = readFileStart(await compileProgram("idle.c", flags));
  expect(start).toMatchObject({ kind: "elf", elf: { interpreter: undefined } });
});

test("the shared objects that a program asks for are read in their order", async () => {
  const start = readFileStart(await compileProgram("idle.c", ["-Wl,--no-as-needed", "-lm", "-ldl"]));
  const needed = start.kind === "elf" ? start.elf.needed : [];
  expect(needed[0]).toMatch(/^libm\.so/);
  expect(needed.at(-1)).toMatch(/^libc\.so/);
});

test("a program for musl names musl's loader", async () => {
  const start = readFileStart(await compileProgram("idle.c", ["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]));
  expect(start).toMatchObject({ kind: "elf", elf: { interpreter: "/lib/ld-musl-x86_64.so.1" } });
});

/** An ELF file of 52 or 64 bytes of header, one program header, and the loader's path. */
function handMadeElf(bits: 32 | 64, littleEndian: boolean, machine: number, loader: string): Buffer {
  const file = Buffer.alloc(256);
  const u16 = (value: number, at: number) =>
    littleEndian ? file.writeUInt16LE(value, at) : file.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    littleEndian ? file.writeUInt32LE(value, at) : file.writeUInt32BE(value, at);
  const low = (at: number) => (littleEndian || bits === 32 ? at : at + 4);
  file.write("\x7fELF", 0, "latin1");
  file.writeUInt8(bits === 64 ? 2 : 1, 4);
  file.writeUInt8(littleEndian ? 1 : 2, 5);
  u16(2, 16);
  u16(machine, 18);
  u32(96, low(bits === 64 ? 32 : 28));
  u16(bits === 64 ? 56 : 32, bits === 64 ? 54 : 42);
  u16(1, bits === 64 ? 56 : 44);
  u32(3, 96);
  u32(192, low(96 + (bits === 64 ? 8 : 4)));
  u32(loader.length + 1, low(96 + (bits === 64 ? 32 : 16)));
  file.write(`${loader}\0`, 192);
  return file;
}

test.each([
  [32, true, 3, "/lib/ld-linux.so.2", "x86"],
  [32, true, 40, "/lib/ld-linux-armhf.so.3", "ARM"],
  [64, true, 183, "/lib/ld-linux-aarch64.so.1", "AArch64"],
  [64, false, 22, "/lib/ld64.so.1", "S/390"],
  [32, false, 8, "/lib/ld.so.1", "MIPS"],
] as const)("a %d-bit file (little-endian: %s) of machine %d is read", (bits, littleEndian, machine, loader, name) => {
  const start = readFileStart(fileOf(handMadeElf(bits, littleEndian, machine, loader)));
  expect(start).toEqual({
    kind: "elf",
    elf: { bits, littleEndian, machine, type: 2, interpreter: loader, needed: [] },
  });
  expect(machineName(machine)).toBe(name);
});

test.each([
  ["#!/bin/sh\necho hi\n", "/bin/sh", undefined],
  ["#! /usr/bin/env  python3 -u \n", "/usr/bin/env", "python3 -u"],
  ["#!/bin/sh", "/bin/sh", undefined],
  ["#!\t/bin/awk\t-f\n", "/bin/awk", "-f"],
])("the interpreter line %j is read", (content, interpreter, argument) => {
  expect(readFileStart(fileOf(content))).toEqual({ kind: "script", interpreter, argument });
});

test.each(["", "#!\n", "#", "echo hello\n", "\x7fEL"])("%j is neither a program nor a script", (content) => {
  expect(readFileStart(fileOf(content))).toEqual({ kind: "other" });
});

test("an ELF file cut short or with any bytes changed is read without an error", async () => {
  const program = readFileSync(await compileProgram("idle.c"));
  const change = fc.tuple(fc.nat({ max: 1023 }), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(
      fc.oneof(fc.nat({ max: 2000 }), fc.constant(program.length)),
      fc.array(change, { maxLength: 20 }),
      (length, changes) => {
        const bytes = Buffer.from(program.subarray(0, Math.max(length, 4)));
        for (const [at, value] of changes) if (at >= 4 && at < bytes.length) bytes[at] = value;
        expect(["elf", "other"]).toContain(readFileStart(fileOf(bytes)).kind);
      },
    ),
    { numRuns: 500 },
  );
});
