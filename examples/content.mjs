// Bytes that the loads send and check: every seed and length gives others, so a byte of an older message is noticed.

export function contentOf(seed, bytes) {
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

/** Throws where the bytes are not those expected. */
export function check(actual, expected, what) {
  if (!actual.equals(expected))
    throw new Error(`${what}: ${actual.length} bytes came, and they are not those expected`);
}
