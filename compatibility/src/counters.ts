// The counters of a run, summed over every process that was under zIO in it.
import { readStatsDirectory } from "@zio/interpose";

export interface RunCounters {
  /** Programs under zIO: one for each process and each exec. */
  processes: number;
  redirectedBytes: number;
  elidedBytes: number;
  translatedBytes: number;
  faults: number;
  zeroFaults: number;
  /** By reason; those that never happened are left out. */
  fallbacks: Record<string, number>;
  /** How many processes ended in a state other than idle and active. */
  states: Record<string, number>;
}

export function readCounters(directory: string): RunCounters {
  const { processes, totals } = readStatsDirectory(directory);
  const fallbacks: Record<string, number> = {};
  for (const [name, value] of Object.entries(totals))
    if (name.startsWith("fallbacks.") && value > 0) fallbacks[name.slice("fallbacks.".length)] = value;
  const states: Record<string, number> = {};
  for (const { state } of processes)
    if (state !== "idle" && state !== "active") states[state] = (states[state] ?? 0) + 1;
  return {
    processes: processes.length,
    redirectedBytes: totals.redirectedBytes ?? 0,
    elidedBytes: totals.elidedBytes ?? 0,
    translatedBytes: totals.translatedBytes ?? 0,
    faults: totals.faults ?? 0,
    zeroFaults: totals.zeroFaults ?? 0,
    fallbacks,
    states,
  };
}
