// Bytes that tests send, made from a seed: every value differs from every other one, so a byte of an older value, of
// another key or of nothing at all is noticed.
import { differingRanges } from "../support/differences.js";

/** `bytes` bytes of xorshift noise. */
export function contentOf(seed: number, bytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ bytes) >>> 0 || 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer, 0, bytes);
}

/** Throws, saying which bytes differ, where the two are not the same. */
export function expectSame(actual: Buffer | null, expected: Buffer, what: string): void {
  if (actual === null) throw new Error(`${what} is not there`);
  if (actual.equals(expected)) return;
  if (actual.length !== expected.length)
    throw new Error(`${what} has ${actual.length} bytes instead of ${expected.length}`);
  const ranges = differingRanges(expected, actual);
  const shown = ranges.slice(0, 4).map(({ start, end }) => {
    const wrong = actual.subarray(start, end);
    return `${start}..${end - 1} (${wrong.every((byte) => byte === 0) ? "zeros" : wrong.subarray(0, 8).toString("hex")})`;
  });
  throw new Error(`${what}: ${ranges.length} ranges differ: ${shown.join(", ")}`);
}
