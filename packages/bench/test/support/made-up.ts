import type { Estimate } from "../../src/index.js";
import type { BenchRecord } from "../../src/record.js";
import { target } from "../../src/record.js";
import { inverse } from "../../src/statistics.js";

const spread = (median: number) => ({ median, iqr: 1, mad: 1 });

/** A record of `faults` with one row, as a run would have left it. */
export function faultsRecord(ratio: Estimate, startedAt = "2026-01-01T00:00:00.000Z"): BenchRecord {
  const row = {
    touchedPages: 4,
    ratio,
    others: { paper: { median: 0.5, low: 0.4, high: 0.6 } },
    serverCpuNs: { plain: spread(100_000), zio: spread(100_000 / ratio.median) },
    messagesPerSecond: { plain: spread(10), zio: spread(11) },
    elidedBytes: spread(2048),
    faults: spread(1),
  };
  const machine = { cpuModel: "A | Processor", cores: 2, memoryBytes: 2 ** 33, kernel: "6.1", distribution: "Debian" };
  return {
    version: 1,
    workload: "faults",
    command: ["zio", "bench", "faults", "--json", "/somewhere/faults.json"],
    startedAt,
    seconds: 1,
    commit: { id: "0123456789abcdef", modified: false },
    packageVersion: "0.0.0",
    machine: { ...machine, loadAverage: 0.1 } as BenchRecord["machine"],
    cpus: null,
    options: { pairs: 15, policy: "learn" },
    contenders: [],
    cells: [],
    rows: [row],
    targets: [target("CPU per message with 4 pages touched, zIO / plain", "at-most", 1.03, inverse(ratio))],
  };
}

export const around = (median: number): Estimate => ({ median, low: median - 0.05, high: median + 0.05 });
