// Data to send through programs: bytes that depend on a seed alone, and their hashes.
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

export function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

export function sha256OfFile(path: string): string {
  return sha256(readFileSync(path));
}

/** Bytes of a seed; half of every 64 KiB is text that compresses. */
export function bytesOfSeed(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < length; at += 4) {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    const word = at & 32768 ? 0x61616161 + (state & 0x03030303) : state;
    for (let i = 0; i < 4 && at + i < length; i++) bytes[at + i] = (word >>> (8 * i)) & 255;
  }
  return bytes;
}

/** Writes a file of any length in pieces and returns the hash of its contents. */
export function writeFileOfSeed(path: string, seed: number, length: number): string {
  const hash = createHash("sha256");
  const file = openSync(path, "w");
  for (let at = 0, piece = 0; at < length; at += 1 << 20, piece++) {
    const bytes = bytesOfSeed(seed + piece, Math.min(1 << 20, length - at));
    hash.update(bytes);
    writeSync(file, bytes);
  }
  closeSync(file);
  return hash.digest("hex");
}
