// Reads the counter pages that libzio.so keeps in the directory named by ZIO_STATS: one file a process, laid out as
// packages/core/include/zio/stats.h says. A page describes itself, so this file knows no counter's name. It never
// throws on what it finds: a page still being written, a truncated file or a stranger's file is not a page.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type CounterKind = "counter" | "gauge";

/** The counters of one process at the moment of reading. */
export interface StatsPage {
  version: number;
  pid: number;
  parentPid: number;
  /** Field 22 of /proc/PID/stat when the page was made: another value means that the pid was recycled. */
  startTicks: number;
  policy: string;
  /** "idle", "active", or why the library does nothing ("unavailable: ..."). */
  state: string;
  command: string;
  /** Values by name, for example `elidedBytes` or `fallbacks.pinned-page`. */
  counters: Record<string, number>;
  kinds: Record<string, CounterKind>;
}

/** The pages of a directory, in the order of their pids. */
export interface StatsDirectory {
  processes: StatsPage[];
  /** Each counter and gauge summed over the processes. */
  totals: Record<string, number>;
  /** Names of files that are no page of a version this reader knows. */
  unreadable: string[];
}

const magic = 0x315441545354495an;
const knownVersion = 1;
const kinds: readonly CounterKind[] = ["counter", "gauge"];

// Offsets in struct zio_stats_header and struct zio_stats_counter.
const header = {
  magic: 0,
  version: 8,
  headerBytes: 12,
  counterBytes: 16,
  counterCount: 20,
  pid: 24,
  parentPid: 28,
  startTicks: 32,
  policy: { at: 56, bytes: 16 },
  state: { at: 72, bytes: 64 },
  command: { at: 136, bytes: 104 },
  end: 240,
} as const;
const counter = { name: { at: 0, bytes: 47 }, kind: 47, value: 48, end: 56 } as const;

function text(view: Buffer, base: number, field: { at: number; bytes: number }): string {
  const bytes = view.subarray(base + field.at, base + field.at + field.bytes);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

/**
 * The page in `buffer`, or undefined when it holds none of a known version. Of a page that was cut short the counters
 * that are there in full are returned.
 */
export function readStatsPage(buffer: Uint8Array): StatsPage | undefined {
  const view = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  if (view.length < header.end || view.readBigUInt64LE(header.magic) !== magic) return undefined;
  const version = view.readUInt32LE(header.version);
  const headerBytes = view.readUInt32LE(header.headerBytes);
  const counterBytes = view.readUInt32LE(header.counterBytes);
  if (version !== knownVersion || headerBytes < header.end || counterBytes < counter.end) return undefined;

  const page: StatsPage = {
    version,
    pid: view.readInt32LE(header.pid),
    parentPid: view.readInt32LE(header.parentPid),
    startTicks: Number(view.readBigUInt64LE(header.startTicks)),
    policy: text(view, 0, header.policy),
    state: text(view, 0, header.state),
    command: text(view, 0, header.command),
    counters: {},
    kinds: {},
  };
  const complete = Math.max(0, Math.floor((view.length - headerBytes) / counterBytes));
  const count = Math.min(view.readUInt32LE(header.counterCount), complete);
  for (let index = 0; index < count; index++) {
    const base = headerBytes + index * counterBytes;
    const name = text(view, base, counter.name);
    if (name === "") continue;
    page.counters[name] = Number(view.readBigUInt64LE(base + counter.value));
    page.kinds[name] = kinds[view.readUInt8(base + counter.kind)] ?? "counter";
  }
  return page;
}

/** Every page in `directory` and their sums. Files that vanish meanwhile are left out; a missing directory throws. */
export function readStatsDirectory(directory: string): StatsDirectory {
  const processes: StatsPage[] = [];
  const unreadable: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(directory, entry.name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") unreadable.push(entry.name);
      continue;
    }
    const page = readStatsPage(bytes);
    if (page) processes.push(page);
    else unreadable.push(entry.name);
  }
  processes.sort((left, right) => left.pid - right.pid || left.startTicks - right.startTicks);

  const totals: Record<string, number> = {};
  for (const { counters } of processes)
    for (const [name, value] of Object.entries(counters)) totals[name] = (totals[name] ?? 0) + value;
  return { processes, totals, unreadable: unreadable.sort() };
}
