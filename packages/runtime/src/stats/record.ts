// The counters of a process tree as a record: what `zio run --stats` writes and `spawn` gives.
import { readStatsDirectory, type StatsPage } from "@zio/interpose";

/** Counters that every record has, with 0 where the library keeps none of that name. */
const namedCounters = [
  "redirectedBytes",
  "elidedBytes",
  "copiedBytes",
  "materialisedBytes",
  "faults",
  "views",
  "origins",
  "originBytes",
] as const;
const fallbackPrefix = "fallbacks.";
/** Of files that are logged, and of their pool. */
const isOfPool = (name: string) => /^(logged|pool)[A-Z]/.test(name);

export type NamedCounter = (typeof namedCounters)[number];

export interface Counters extends Record<NamedCounter, number> {
  /** How often something was copied that could have been elided, by reason. */
  fallbacks: Record<string, number>;
  /** Of files that are logged in a pool, and of the pool; empty where the library counts nothing of that. */
  nvm: Record<string, number>;
  /** What else the library counts. */
  other: Record<string, number>;
}

export interface ProcessRecord extends Counters {
  pid: number;
  parentPid: number;
  command: string;
  policy: string;
  /** "idle", "active", or why the library does nothing. */
  state: string;
}

/** How a process ended. */
export type Ending = { status: number } | { signal: NodeJS.Signals };

export interface RunRecord extends Counters {
  version: 1;
  processes: ProcessRecord[];
}

/** The counters by their names in a page, in the form of a record. */
export function countersOf(values: Readonly<Record<string, number>>): Counters {
  const counters: Counters = {
    redirectedBytes: 0,
    elidedBytes: 0,
    copiedBytes: 0,
    materialisedBytes: 0,
    faults: 0,
    views: 0,
    origins: 0,
    originBytes: 0,
    fallbacks: {},
    nvm: {},
    other: {},
  };
  for (const [name, value] of Object.entries(values)) {
    if ((namedCounters as readonly string[]).includes(name)) counters[name as NamedCounter] = value;
    else if (name.startsWith(fallbackPrefix)) counters.fallbacks[name.slice(fallbackPrefix.length)] = value;
    else if (isOfPool(name)) counters.nvm[name] = value;
    else counters.other[name] = value;
  }
  return counters;
}

/** A page as the record of its process. */
export function processRecord(page: StatsPage): ProcessRecord {
  const { pid, parentPid, command, policy, state, counters } = page;
  return { pid, parentPid, command, policy, state, ...countersOf(counters) };
}

/** What a page knows of the pool grows with what was logged and digested by then, by all processes together. */
const knowledgeOfPool = ({ counters }: StatsPage) =>
  (counters.poolLoggedBytes ?? 0) + (counters.poolDigestedBytes ?? 0);

/** Processes share the pool, and each tells how it was when it last asked: the newest answer counts, not the sum. */
function poolGauges(pages: readonly StatsPage[]): Record<string, number> {
  const [newest] = [...pages].sort((left, right) => knowledgeOfPool(right) - knowledgeOfPool(left));
  const { counters = {}, kinds = {} } = newest ?? {};
  const isGauge = ([name]: [string, number]) => name.startsWith("pool") && kinds[name] === "gauge";
  return Object.fromEntries(Object.entries(counters).filter(isGauge));
}

/** The sum of the pages in a directory, with a record for each process; zeros where the directory is gone. */
export function readRunRecord(directory: string): RunRecord {
  let read: ReturnType<typeof readStatsDirectory> = { processes: [], totals: {}, unreadable: [] };
  try {
    read = readStatsDirectory(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return {
    version: 1,
    ...countersOf({ ...read.totals, ...poolGauges(read.processes) }),
    processes: read.processes.map(processRecord),
  };
}
