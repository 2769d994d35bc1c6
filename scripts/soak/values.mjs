// What the soak's server must hold. A value says in every 4 KiB which key and version it is, so whatever the server
// returns can be made again and compared; the model only knows which versions it may be. Each key has one writer.
const noise = Buffer.alloc(3 << 20);
for (let i = 0, state = 0x2545f491; i < noise.length; i += 4) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  noise.writeInt32LE(state, i);
}

const [least, most] = [1 << 10, 1 << 20];
const stampBytes = 16;
/** So many versions back a slow reader or a snapshot may look. */
const remembered = 1000;

function mix(key, version) {
  let hash = Math.imul(key + 1, 0x9e3779b1) ^ Math.imul(version + 1, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** 1 KiB to 1 MiB, each doubling as likely as any other. */
const sizeOf = (key, version) => Math.round(least * (most / least) ** (mix(key, version) / 2 ** 32));

export function contentOf(key, version) {
  const size = sizeOf(key, version);
  const from = mix(version, key) % (noise.length - most);
  const value = Buffer.from(noise.subarray(from, from + size));
  for (let at = 0; at + stampBytes <= size; at += 4096) {
    value.writeUInt32LE(key, at);
    value.writeUInt32LE(version, at + 4);
    value.writeUInt32LE(size, at + 8);
    value.writeUInt32LE(at, at + 12);
  }
  return value;
}

function firstDifference(actual, expected) {
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  const there = actual.subarray(at & ~15, (at & ~15) + 32).toString("hex");
  return `${actual.length} bytes for ${expected.length}, different from byte ${at} on (there: ${there})`;
}

export class KnownValues {
  #keys = [];

  constructor(keyCount) {
    for (let key = 0; key < keyCount; key++) this.#keys.push({ low: 0, high: 0, next: 1, gone: new Set([0]) });
  }

  get keyCount() {
    return this.#keys.length;
  }

  /** A new version of the key, from now on possible. */
  issue(key, deletes = false) {
    const known = this.#keys[key];
    const version = known.next++;
    known.high = version;
    if (deletes) known.gone.add(version);
    return version;
  }

  /** The server has said that it holds this version: none before it is possible any more. */
  acknowledge(key, version) {
    const known = this.#keys[key];
    known.low = Math.max(known.low, version);
    for (const old of known.gone) if (old < known.low - remembered) known.gone.delete(old);
  }

  current(key) {
    const { high, gone } = this.#keys[key];
    return gone.has(high) ? undefined : high;
  }

  isGone(key, version) {
    return this.#keys[key].gone.has(version);
  }

  /** The oldest version that the key may have now. */
  oldest(key) {
    return this.#keys[key].low;
  }

  newest(key) {
    return this.#keys[key].high;
  }

  /** Throws unless `value` is one of the versions `low` to `high` of the key, byte for byte. Returns which. */
  check(key, value, low, high, what) {
    const { gone } = this.#keys[key];
    if (value === null) {
      for (let version = high; version >= low; version--) if (gone.has(version)) return version;
      throw new Error(`${what}: key ${key} is not there; it may have versions ${low} to ${high}`);
    }
    const stamped = value.length >= stampBytes ? value.readUInt32LE(4) : -1;
    const version = stamped >= low && stamped <= high && !gone.has(stamped) ? stamped : undefined;
    if (version === undefined)
      throw new Error(`${what}: key ${key} says that it has version ${stamped}, which is none of ${low} to ${high}`);
    const expected = contentOf(key, version);
    if (!value.equals(expected))
      throw new Error(`${what}: key ${key}, version ${version}: ${firstDifference(value, expected)}`);
    return version;
  }

  /** After a crash: what the server holds is what it has to hold from now on. */
  settle(key, version) {
    const known = this.#keys[key];
    known.low = version;
    known.high = version;
  }

  /** After FLUSHALL. */
  forgetAll() {
    for (let key = 0; key < this.#keys.length; key++) this.acknowledge(key, this.issue(key, true));
  }
}
