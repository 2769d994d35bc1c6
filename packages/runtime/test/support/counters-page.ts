// Makes a page of counters as the library would, by packages/core/include/zio/stats.h.

export interface MadePage {
  pid: number;
  parentPid?: number;
  startTicks?: number;
  policy?: string;
  state?: string;
  command?: string;
  counters?: Record<string, number>;
}

const headerBytes = 256;
const counterBytes = 64;

/** `gauges` are the names that are no counters. */
export function countersPage(made: MadePage, gauges: readonly string[] = []): Buffer {
  const {
    pid,
    parentPid = 1,
    startTicks = 0,
    policy = "always",
    state = "active",
    command = "made",
    counters = {},
  } = made;
  const entries = Object.entries(counters);
  const page = Buffer.alloc(headerBytes + entries.length * counterBytes);
  page.writeBigUInt64LE(0x315441545354495an, 0);
  page.writeUInt32LE(1, 8);
  page.writeUInt32LE(headerBytes, 12);
  page.writeUInt32LE(counterBytes, 16);
  page.writeUInt32LE(entries.length, 20);
  page.writeInt32LE(pid, 24);
  page.writeInt32LE(parentPid, 28);
  page.writeBigUInt64LE(BigInt(startTicks), 32);
  page.write(policy, 56);
  page.write(state, 72);
  page.write(command, 136);
  for (const [index, [name, value]] of entries.entries()) {
    const base = headerBytes + index * counterBytes;
    page.write(name, base);
    page.writeUInt8(gauges.includes(name) ? 1 : 0, base + 47);
    page.writeBigUInt64LE(BigInt(value), base + 48);
  }
  return page;
}
