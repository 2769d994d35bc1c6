// Reads from an ELF file what decides whether a library can be preloaded into it. Any bytes may come in: a file that
// is cut short or lies about its offsets is answered as far as it can be read.
import { closeSync, openSync, readSync } from "node:fs";

export interface ElfFile {
  bits: 32 | 64;
  littleEndian: boolean;
  /** e_machine: 62 is x86-64, 183 is AArch64. */
  machine: number;
  /** e_type: 2 is an executable at a fixed address, 3 a shared object or a position-independent executable. */
  type: number;
  /** The dynamic loader (PT_INTERP); undefined in a static program. */
  interpreter: string | undefined;
  /** The shared objects that it asks for by name (DT_NEEDED), in their order. */
  needed: string[];
}

/** How a file of code starts: ELF, a script with its interpreter line, or neither. */
export type FileStart =
  | { kind: "elf"; elf: ElfFile }
  | { kind: "script"; interpreter: string; argument: string | undefined }
  | { kind: "other" };

const machineNames: Record<number, string> = {
  3: "x86",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC 64",
  22: "S/390",
  40: "ARM",
  62: "x86-64",
  183: "AArch64",
  243: "RISC-V",
  258: "LoongArch",
};
const segments = { load: 1, dynamic: 2, interpreter: 3 } as const;
const tags = { end: 0, needed: 1, stringTable: 5, stringTableBytes: 10 } as const;
const longestPathBytes = 4096;
/** Bounds of what is read of a file that may say anything. */
const mostDynamicBytes = 64 * 1024;
const mostStringBytes = 1024 * 1024;
/** What the kernel reads of a script's first line (since Linux 5.1; shorter before). */
const scriptLineBytes = 256;

/** The name of an e_machine value, for messages. */
export function machineName(machine: number): string {
  return machineNames[machine] ?? `machine ${machine}`;
}

type ReadAt = (offset: number, length: number) => Buffer;

/** Numbers of a file's own width and byte order. */
class Numbers {
  constructor(
    readonly bits: 32 | 64,
    readonly littleEndian: boolean,
  ) {}

  u16(from: Buffer, at: number): number {
    return this.littleEndian ? from.readUInt16LE(at) : from.readUInt16BE(at);
  }

  u32(from: Buffer, at: number): number {
    return this.littleEndian ? from.readUInt32LE(at) : from.readUInt32BE(at);
  }

  word(from: Buffer, at: number): number {
    if (this.bits === 32) return this.u32(from, at);
    return Number(this.littleEndian ? from.readBigUInt64LE(at) : from.readBigUInt64BE(at));
  }
}

interface Segment {
  kind: number;
  offset: number;
  address: number;
  length: number;
}

function textAt(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString("utf8", at, end < 0 ? bytes.length : end);
}

function readNeeded(read: ReadAt, numbers: Numbers, all: readonly Segment[]): string[] {
  const dynamic = all.find(({ kind }) => kind === segments.dynamic);
  if (!dynamic) return [];
  const table = read(dynamic.offset, Math.min(dynamic.length, mostDynamicBytes));
  const width = numbers.bits / 8;
  const offsets: number[] = [];
  const found = new Map<number, number>();
  for (let at = 0; at + 2 * width <= table.length; at += 2 * width) {
    const [tag, value] = [numbers.word(table, at), numbers.word(table, at + width)];
    if (tag === tags.end) break;
    if (tag === tags.needed) offsets.push(value);
    else found.set(tag, value);
  }
  const address = found.get(tags.stringTable) ?? 0;
  const holder = all.find(
    (each) => each.kind === segments.load && address >= each.address && address < each.address + each.length,
  );
  if (!holder || offsets.length === 0) return [];
  const length = Math.min(found.get(tags.stringTableBytes) ?? 0, mostStringBytes);
  const strings = read(holder.offset + address - holder.address, length);
  return offsets.filter((offset) => offset < strings.length).map((offset) => textAt(strings, offset));
}

function parseElf(read: ReadAt): ElfFile | undefined {
  const header = read(0, 64);
  if (header.length < 52) return undefined;
  const numbers = new Numbers(header[4] === 2 ? 64 : 32, header[5] !== 2);
  const { bits, littleEndian } = numbers;
  if (bits === 64 && header.length < 64) return undefined;
  // Offsets of e_phoff, e_phentsize, e_phnum, and of p_offset, p_vaddr and p_filesz in a program header.
  const at =
    bits === 64
      ? { table: 32, size: 54, count: 56, offset: 8, address: 16, length: 32 }
      : { table: 28, size: 42, count: 44, offset: 4, address: 8, length: 16 };
  const tableOffset = numbers.word(header, at.table);
  const entryBytes = numbers.u16(header, at.size);
  const [machine, type] = [numbers.u16(header, 18), numbers.u16(header, 16)];
  const elf: ElfFile = { bits, littleEndian, machine, type, interpreter: undefined, needed: [] };
  if (entryBytes < at.length + bits / 8) return elf;
  const table = read(tableOffset, entryBytes * numbers.u16(header, at.count));
  const all: Segment[] = [];
  for (let entry = 0; entry + entryBytes <= table.length; entry += entryBytes) {
    const field = (offset: number) => numbers.word(table, entry + offset);
    const [offset, address, length] = [field(at.offset), field(at.address), field(at.length)];
    all.push({ kind: numbers.u32(table, entry), offset, address, length });
  }
  const interpreter = all.find(({ kind }) => kind === segments.interpreter);
  if (interpreter)
    elf.interpreter = textAt(read(interpreter.offset, Math.min(interpreter.length, longestPathBytes)), 0);
  elf.needed = readNeeded(read, numbers, all);
  return elf;
}

function parseScript(line: string): FileStart {
  // The kernel splits at the first run of blanks only: the rest is one argument.
  const match = /^#![ \t]*([^ \t]+)(?:[ \t]+(.*?))?[ \t]*$/.exec(line);
  if (!match?.[1]) return { kind: "other" };
  return { kind: "script", interpreter: match[1], argument: match[2] || undefined };
}

/** Reads how `path` starts. Throws the error of the file system where it cannot be opened or read. */
export function readFileStart(path: string | Buffer): FileStart {
  const descriptor = openSync(path, "r");
  try {
    const read: ReadAt = (offset, length) => {
      if (!Number.isSafeInteger(offset) || length <= 0) return Buffer.alloc(0);
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset));
    };
    const start = read(0, scriptLineBytes);
    if (start.toString("latin1", 0, 2) === "#!") return parseScript(start.toString("utf8").split("\n")[0] ?? "");
    if (start.toString("latin1", 0, 4) !== "\x7fELF") return { kind: "other" };
    const elf = parseElf(read);
    return elf ? { kind: "elf", elf } : { kind: "other" };
  } finally {
    closeSync(descriptor);
  }
}
