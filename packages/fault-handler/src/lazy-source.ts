// Where the bytes of a LazyBuffer come from: memory and files, checked and made safe, and the plain ArrayBuffer that
// stands in where pages cannot be filled on touch.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { ZioError } from "@zio/core";

export type LazyMemorySource = ArrayBufferLike | ArrayBufferView;
/** A path, or an open file; the descriptor is needed only until the LazyBuffer exists. */
export type LazyFile = string | URL | number | { readonly fd: number };

export interface FileRange {
  fd: number;
  offset: number;
  /** Bytes of the range that the file has now. */
  available: number;
  length: number;
  isRegular: boolean;
}

function bytesOf(source: LazyMemorySource): Uint8Array {
  return ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
}

/**
 * The bytes of `source`, and whether nobody else can change them: then they may be borrowed. Shared memory is copied
 * here, because others may be writing to it.
 */
export function takeBytes(source: LazyMemorySource, ownership: "copy" | "transfer") {
  const bytes = bytesOf(source);
  if (ownership === "transfer") return { bytes: transferred(bytes), isOwned: true };
  const isShared = bytes.buffer instanceof SharedArrayBuffer;
  return isShared ? { bytes: bytes.slice(), isOwned: true } : { bytes, isOwned: false };
}

function transferred({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  if (buffer instanceof SharedArrayBuffer) throw new TypeError("a SharedArrayBuffer cannot be transferred");
  const taken = attemptTransfer(buffer);
  // Before Node 21 what is marked untransferable is copied instead.
  if (buffer.byteLength > 0) throw notTransferable(undefined);
  return new Uint8Array(taken, byteOffset, byteLength);
}

function attemptTransfer(buffer: ArrayBuffer): ArrayBuffer {
  try {
    return structuredClone(buffer, { transfer: [buffer] });
  } catch (cause) {
    throw notTransferable(cause);
  }
}

function notTransferable(cause: unknown): ZioError {
  return new ZioError(
    'the source cannot be transferred (a small Buffer lies in a shared pool); use ownership: "copy"',
    {
      code: "NOT_TRANSFERABLE",
      cause,
    },
  );
}

/** Opens the file, calls `use` with the checked range, and closes the file. Failures are ZioErrors. */
export function withFileRange<T>(
  file: LazyFile,
  options: { offset?: number | undefined; length?: number | undefined },
  use: (range: FileRange) => T,
): T {
  const offset = checkedBytes("offset", options.offset ?? 0);
  const wanted = options.length === undefined ? undefined : checkedBytes("length", options.length);
  const isPath = typeof file === "string" || file instanceof URL;
  const fd = isPath ? attempt(() => openSync(file, "r")) : typeof file === "number" ? file : file.fd;
  try {
    const status = attempt(() => fstatSync(fd));
    const isRegular = status.isFile();
    if (!isRegular && wanted === undefined) {
      throw new TypeError("length is needed: what is not a regular file has no size of its own");
    }
    const rest = Math.max(0, status.size - offset);
    const length = wanted ?? rest;
    return use({ fd, offset, available: Math.min(rest, length), length, isRegular });
  } finally {
    if (isPath) closeSync(fd);
  }
}

/** The bytes of the range, read at once; what the file does not have is zeros. */
export function readRange({ fd, offset, length, isRegular }: FileRange): ArrayBuffer {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const count = attempt(() => readSync(fd, bytes, at, length - at, isRegular || offset > 0 ? offset + at : null));
    if (count === 0) break;
    at += count;
  }
  return bytes.buffer;
}

export function checkedBytes(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new RangeError(`${name} must be a number of bytes from 0 on, not ${value}`);
}

function attempt<T>(operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    const { code, syscall, errno } = cause as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw cause;
    throw new ZioError((cause as Error).message, { code, syscall, errno: errno && Math.abs(errno), cause });
  }
}
