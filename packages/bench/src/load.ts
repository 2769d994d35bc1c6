// One sample of a server that is not ours: starts it as a contender, loads it with zio-load-client, always plain, and
// takes from that what it measured: latencies, and the CPU time of the server's processes with all their threads.
import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "./bench-error.js";
import { type Contender, programPath } from "./contender.js";
import type { CpuPair } from "./machine.js";
import { freePort, type Program, pinned, residentBytes, type SampleRun, sampleRun, waitForPort } from "./programs.js";

export interface Latencies {
  p50: number;
  p90: number;
  p99: number;
  p999: number;
  max: number;
}

/** What every sample of a server comes to. */
export interface Observation {
  operations: number;
  /** Before the timed ones; the counters cover them too. */
  preparedOperations: number;
  /** Of the server's processes. */
  cpuNs: number;
  clientCpuNs: number;
  wallNs: number;
  latencyNs: Latencies;
  residentBytes: number;
  counters: Record<string, number> | null;
  /** What a workload observes beside it. */
  extra?: Record<string, number>;
}

interface LoadReport {
  operations: number;
  preparedOperations: number;
  wallNs: number;
  serverCpuNs: number;
  clientCpuNs: number;
  latencyNs: Latencies;
}

export interface LoadOptions {
  /** The command of the server; `port` is a free one, and ignored by servers that print theirs. */
  server(port: number): readonly unknown[];
  printsPort?: boolean;
  environment?: NodeJS.ProcessEnv;
  cwd?: string;
  /** What the server does at its end is wanted: it gets two seconds for it. Otherwise it is killed. */
  saves?: boolean;
  /** Further options of zio-load-client. */
  load?: readonly unknown[];
  /** The command of another client, which prints the same. */
  client?(port: number, serverPid: number): readonly unknown[];
  verify: "all" | "sample";
  seed: number;
  cpus: CpuPair | undefined;
  timeoutMs?: number;
}

async function startedServer(run: SampleRun, options: LoadOptions): Promise<[Program, number]> {
  const { environment: env, cwd } = options;
  const chosen = options.printsPort ? 0 : await freePort();
  const server = run.startServer(...pinned(options.cpus?.server, options.server(chosen)), {
    ...(env && { env }),
    ...(cwd !== undefined && { cwd }),
  });
  if (options.printsPort) return [server, await server.port()];
  await waitForPort(server, chosen);
  return [server, chosen];
}

export function loadSample(contender: Contender, options: LoadOptions): Promise<Observation> {
  return sampleRun(contender, options.timeoutMs ?? 120_000, async (run) => {
    const [server, port] = await startedServer(run, options);
    const command = options.client?.(port, server.pid) ?? [
      ...[programPath("zio-load-client"), "--port", port, "--server-pids", server.pid],
      ...["--verify", options.verify, "--seed", options.seed, ...(options.load ?? [])],
    ];
    const client = run.startClient(...pinned(options.cpus?.client, command));
    const report = await client.report<LoadReport>().catch(async (error: unknown) => {
      const { stderr } = await client.ended;
      if (!stderr.includes("wrong data")) throw error;
      throw new BenchError("wrong-data", `${contender.name}: ${stderr.trim()}`);
    });
    const resident = residentBytes(server.pid);
    const counters = run.counters();
    if (options.saves) {
      server.kill("SIGTERM");
      await Promise.race([server.ended, sleep(2000, undefined, { ref: false })]);
    }
    const { operations, preparedOperations, wallNs, clientCpuNs, latencyNs } = report;
    const timed = { operations, preparedOperations, wallNs, clientCpuNs, latencyNs };
    return { ...timed, cpuNs: report.serverCpuNs, residentBytes: resident, counters };
  });
}
