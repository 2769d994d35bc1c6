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
const programHeaderInterpreter = 3;
const longestPathBytes = 4096;
/** What the kernel reads of a script's first line (since Linux 5.1; shorter before). */
const scriptLineBytes = 256;

/** The name of an e_machine value, for messages. */
export function machineName(machine: number): string {
  return machineNames[machine] ?? `machine ${machine}`;
}

type ReadAt = (offset: number, length: number) => Buffer;

function parseElf(read: ReadAt): ElfFile | undefined {
  const header = read(0, 64);
  if (header.length < 52) return undefined;
  const bits = header[4] === 2 ? 64 : 32;
  const littleEndian = header[5] !== 2;
  if (bits === 64 && header.length < 64) return undefined;
  const u16 = (from: Buffer, at: number) => (littleEndian ? from.readUInt16LE(at) : from.readUInt16BE(at));
  const u32 = (from: Buffer, at: number) => (littleEndian ? from.readUInt32LE(at) : from.readUInt32BE(at));
  const word = (from: Buffer, at: number) => {
    if (bits === 32) return u32(from, at);
    return Number(littleEndian ? from.readBigUInt64LE(at) : from.readBigUInt64BE(at));
  };
  // Offsets of e_phoff, e_phentsize, e_phnum, and of p_offset and p_filesz in a program header.
  const at =
    bits === 64
      ? { table: 32, size: 54, count: 56, offset: 8, length: 32 }
      : { table: 28, size: 42, count: 44, offset: 4, length: 16 };
  const tableOffset = word(header, at.table);
  const entryBytes = u16(header, at.size);
  const elf: ElfFile = { bits, littleEndian, machine: u16(header, 18), type: u16(header, 16), interpreter: undefined };
  if (entryBytes < at.length + bits / 8) return elf;
  const table = read(tableOffset, entryBytes * u16(header, at.count));
  for (let entry = 0; entry + entryBytes <= table.length; entry += entryBytes) {
    if (u32(table, entry) !== programHeaderInterpreter) continue;
    const path = read(word(table, entry + at.offset), Math.min(word(table, entry + at.length), longestPathBytes));
    const end = path.indexOf(0);
    elf.interpreter = path.toString("utf8", 0, end < 0 ? path.length : end);
  }
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
