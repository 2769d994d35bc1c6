// One sample of the echo: starts the server as a contender and the client always plain, each on its core, lets them
// exchange their messages and collects what both report.
import { BenchError } from "./bench-error.js";
import { type Contender, plain, programPath } from "./contender.js";
import type { CpuPair } from "./machine.js";
import { type Program, pinned, sampleRun } from "./programs.js";
import type { RemoteServer } from "./remote.js";

/** What zio-echo-server prints at its end; from after the warm-up, its whole process with all its threads. */
export interface ServerReport {
  version: 1;
  messages: number;
  warmupMessages: number;
  bytes: number;
  cpuNs: number;
  userNs: number;
  systemNs: number;
  wallNs: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
  minorFaults: number;
  majorFaults: number;
  receiveCalls: number;
  sendCalls: number;
  truncatedMessages: number;
}

/** What zio-echo-client prints at its end; times are those after the warm-up, `cpuNs` is that of all it received. */
export interface ClientReport {
  version: 1;
  messages: number;
  received: number;
  wrongMessages: number;
  wallNs: number;
  cpuNs: number;
  messagesPerSecond: number;
  bytesPerSecond: number;
  latencyNs: { p50: number; p90: number; p99: number; p999: number; max: number };
}

export interface EchoSample {
  server: ServerReport;
  client: ClientReport;
  /** The counters of zIO at the end of the server, warm-up included; null for a contender without. */
  counters: Record<string, number> | null;
}

export interface EchoOptions {
  copies: number;
  messageBytes: number;
  messages: number;
  warmup: number;
  verify: "all" | "sample" | "none";
  seed: number;
  cpus: CpuPair | undefined;
  /** Pages of the last copy in which the server touches a byte. */
  touchedPages?: number;
  /** Share of the pages of the last copy of which the server touches every word. */
  touchedPercent?: number;
  touchMode?: "read" | "write";
  touchOrder?: "sequential" | "random";
  connections?: number;
  /** Buffers that the server receives into in turn, without copies. */
  inTurn?: number;
  /** Another server than the project's own: it takes --message and --warmup, serves one client and reports as that one. */
  server?: readonly string[];
  /** Where the server is to run; here unless told. */
  remote?: RemoteServer | undefined;
  /** For the whole sample, 60 s unless told. */
  timeoutMs?: number;
}

export function echoServerCommand(options: EchoOptions): [path: string, args: unknown[]] {
  const common = ["--message", options.messageBytes, "--warmup", options.warmup];
  if (options.server) return pinned(options.cpus?.server, [...options.server, ...common]);
  const touch = ["--touch", options.touchedPages ?? 0, "--touch-percent", options.touchedPercent ?? 0];
  const manner = ["--touch-mode", options.touchMode ?? "read", "--touch-order", options.touchOrder ?? "sequential"];
  const buffers = ["--copies", options.copies, "--in-turn", options.inTurn ?? 1];
  const own = [...buffers, "--connections", options.connections ?? 1, ...touch, ...manner];
  return [programPath("zio-echo-server"), [...common, ...own, ...(options.cpus ? ["--cpu", options.cpus.server] : [])]];
}

function clientArguments(options: EchoOptions, port: number): unknown[] {
  return [
    ...["--port", port, "--message", options.messageBytes, "--messages", options.messages, "--seed", options.seed],
    ...["--warmup", options.warmup, "--verify", options.verify, "--connections", options.connections ?? 1],
    ...(options.cpus ? ["--cpu", options.cpus.client] : []),
  ];
}

/** The client's report; a wrong byte is an error of its own. */
async function clientReport(client: Program, contender: Contender, { copies }: EchoOptions): Promise<ClientReport> {
  return client.report<ClientReport>().catch(async (error: unknown) => {
    const { stderr } = await client.ended;
    if (!stderr.includes("wrong messages")) throw error;
    throw new BenchError("wrong-data", `${contender.name}, ${copies} copies: ${stderr.trim()}`);
  });
}

export function echoSample(contender: Contender, options: EchoOptions): Promise<EchoSample> {
  const { remote, timeoutMs = 60_000, ...settings } = options;
  if (remote)
    return sampleRun(plain, timeoutMs, async (run) => {
      const port = await remote.start(contender, settings);
      const host = ["--host", remote.host];
      const program = run.startClient(programPath("zio-echo-client"), [...clientArguments(options, port), ...host]);
      const client = await clientReport(program, contender, options);
      return { client, ...(await remote.finish()) };
    });
  return sampleRun(contender, timeoutMs, async (run) => {
    const server = run.startServer(...echoServerCommand(options));
    const program = run.startClient(programPath("zio-echo-client"), clientArguments(options, await server.port()));
    const client = await clientReport(program, contender, options);
    return { server: await server.report<ServerReport>(), client, counters: run.counters() };
  });
}
