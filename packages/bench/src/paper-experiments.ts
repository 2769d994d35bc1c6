// The experiments of the paper (zIO, OSDI'22), each with the run here that comes nearest to it.
import type { PlannedRun } from "./all.js";
import type { BenchRecord } from "./record.js";
import { workloadNamed } from "./run.js";
import { withInterval } from "./table.js";

const kibibytes = (...sizes: number[]) => sizes.map((size) => size << 10);

export interface PaperExperiment {
  id: string;
  /** What its figure or table shows. */
  what: string;
  /** The number that the paper gives. */
  paper: string;
  /** The run; absent where there is none, and `differs` says why. */
  run?: { workload: string; options: Record<string, unknown> };
  differs: string;
}

const oneMachine =
  "one machine over loopback instead of two with 100 Gb/s between them; CPU time instead of throughput";

export const paperExperiments: readonly PaperExperiment[] = [
  {
    id: "copies",
    what: "echo server, 512 KiB, 0, 1, 2, 4, 8 and 12 copies in the application",
    paper: "up to 1.8x on Linux",
    run: { workload: "copies", options: { withPaper: true } },
    differs: oneMachine,
  },
  {
    id: "sizes",
    what: "echo server, 5 copies, messages of 8 to 256 KiB",
    paper: "a curve; copies under 16 KiB are not tracked",
    run: { workload: "sizes", options: { messageBytes: kibibytes(8, 16, 32, 64, 128, 256), withPaper: true } },
    differs: oneMachine,
  },
  {
    id: "threads",
    what: "echo server, 1 to 8 threads without copies in the application",
    paper: "a curve",
    run: { workload: "threads", options: { copies: [0] } },
    differs: `${oneMachine}; both ends share the cores, of which the paper has 24`,
  },
  {
    id: "faults",
    what: "echo server, 0 to 12 page faults a message",
    paper: "tracking is given up when pages that fault exceed 6 % of the bytes elided",
    run: { workload: "faults", options: { withPaper: true } },
    differs: `${oneMachine}; the policy learns, so a page that is touched need not be a fault`,
  },
  {
    id: "redis",
    what: "Redis with an append-only file that persists every request, YCSB workload A, values of 4 to 512 KiB",
    paper: "up to 2.5x with kernel bypass and optimistic receiver persistence",
    run: {
      workload: "redis",
      options: { mixes: ["A"], stores: ["aof-always"], valueBytes: kibibytes(4, 16, 64, 256, 512) },
    },
    differs: `${oneMachine}; kernel sockets and an ordinary file: neither kernel bypass nor persistent memory takes part`,
  },
  {
    id: "file-server",
    what: "Icecast serving a file of 512 KiB in chunks of 64 KiB, by read or mmap and send",
    paper: "up to 17 % over mmap, with fewer TLB shootdowns",
    run: { workload: "apis", options: {} },
    differs: "a small server that does what Icecast does; more ways to send, and shootdowns of the whole machine",
  },
  {
    id: "icecast",
    what: "Icecast streaming audio of 1 MB in chunks of 64 KiB, from the network and from storage",
    paper: "1.16x from the network, 1.27x from storage",
    differs: "not run: no workload yet; the compatibility table has Icecast",
  },
  {
    id: "mongodb",
    what: "MongoDB insert, sync and read",
    paper: "3 + 2, 1 + 1 and 2 + 1 copies an operation",
    differs: "not run: no package of a MongoDB server could be had",
  },
  {
    id: "copy-sites",
    what: "copy call sites an operation (application + IO stack)",
    paper: "Redis SET 4 + 2, GET 2 + 1; Ceph write 1 + 2; Anna PUT 5 + 3; TensorFlow Serving 2 + 1; Nebula Graph 5 + 2",
    differs: "not run: source code was counted there; what our programs copy is in `elidedBytes` of each record",
  },
  {
    id: "bypass",
    what: "the same with kernel bypass (TAS) and Strata",
    paper: "up to 2.5x",
    differs: "not run here: the adapters of @zio/bypass-tas and @zio/nvm measure themselves",
  },
];

export function paperRuns(): PlannedRun[] {
  return paperExperiments.flatMap(({ id, run }) => (run ? [{ ...run, experiment: id }] : []));
}

/** The best score of a record and where, and what the published rule came to there. */
export function bestOf(record: BenchRecord): string {
  const { rows } = workloadNamed(record.workload).figure(record);
  const scored = rows.flatMap(({ name, score }, index) => (score ? [{ name, score, index }] : []));
  const best = scored.reduce((left, right) => (right.score.median > left.score.median ? right : left));
  const others = (record.rows[best.index] as { others?: Record<string, { median: number }> }).others;
  const paper = others?.paper ? `; its own rule here ${others.paper.median.toFixed(2)}` : "";
  return `${withInterval(best.score, 1, 2, "")} at ${best.name}${paper}`;
}
