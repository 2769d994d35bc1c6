// One sample of the echo: starts the server as a contender and the client always plain, each on its core, lets them
// exchange their messages and collects what both report. No process outlives the call.
import { type ChildProcess, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { readStatsDirectory } from "@zio/interpose";
import { BenchError } from "./bench-error.js";
import { type Contender, contenderEnvironment, plain, privateDirectory, programPath } from "./contender.js";
import type { CpuPair } from "./machine.js";

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
  touchedPages?: number;
  connections?: number;
  /** For the whole sample, 60 s unless told. */
  timeoutMs?: number;
}

interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  lines: string[];
  stderr: string;
}

/** A running program whose lines of output can be waited for. */
class Program {
  readonly #child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly firstLine: Promise<string>;

  constructor(
    readonly path: string,
    args: string[],
    env: NodeJS.ProcessEnv,
  ) {
    const child = spawn(path, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const lines: string[] = [];
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const reader = createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve({ status, signal, lines, stderr }));
    });
    this.firstLine = new Promise((resolve, reject) => {
      reader.once("line", resolve);
      this.ended.then((end) => reject(failure(path, end)), reject);
    });
    this.ended.catch(() => {});
    this.firstLine.catch(() => {});
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** The last line as JSON, once the program has ended well. */
  async report<Report>(): Promise<Report> {
    const end = await this.ended;
    const line = end.lines.at(-1);
    if (end.status !== 0 || line === undefined) throw failure(this.path, end);
    return JSON.parse(line) as Report;
  }
}

function failure(path: string, { status, signal, stderr }: Ended): BenchError {
  const how = signal ? `was killed by ${signal}` : `ended with status ${status}`;
  return new BenchError("program-failed", `${path} ${how}${stderr ? `: ${stderr.trim()}` : ""}`);
}

function serverArguments(options: EchoOptions): string[] {
  return [
    ...["--message", options.messageBytes, "--copies", options.copies, "--warmup", options.warmup],
    ...["--touch", options.touchedPages ?? 0, "--connections", options.connections ?? 1],
    ...(options.cpus ? ["--cpu", options.cpus.server] : []),
  ].map(String);
}

function clientArguments(options: EchoOptions, port: string): string[] {
  return [
    ...["--port", port, "--message", options.messageBytes, "--messages", options.messages, "--seed", options.seed],
    ...["--warmup", options.warmup, "--verify", options.verify, "--connections", options.connections ?? 1],
    ...(options.cpus ? ["--cpu", options.cpus.client] : []),
  ].map(String);
}

/** The counters of the one process in `directory`; throws where zIO was loaded but did nothing. */
function countersIn(directory: string, contender: Contender): Record<string, number> {
  const { processes, totals } = readStatsDirectory(directory);
  const page = processes[0];
  if (!page) throw new BenchError("not-active", `${contender.name}: the library wrote no counters; was it loaded?`);
  // Any other state is the reason why the library does nothing.
  if (page.state !== "idle" && page.state !== "active")
    throw new BenchError("not-active", `${contender.name}: zIO does nothing: ${page.state}`);
  return totals;
}

export async function echoSample(contender: Contender, options: EchoOptions): Promise<EchoSample> {
  const statsDirectory = contender.counts ? await privateDirectory("zio-bench-stats-") : undefined;
  const { timeoutMs = 60_000 } = options;
  const running: Program[] = [];
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    for (const program of running) program.kill();
  }, timeoutMs);
  try {
    const environment = contenderEnvironment(contender, statsDirectory);
    const server = new Program(programPath("zio-echo-server"), serverArguments(options), environment);
    running.push(server);
    const port = /^port (\d+)$/.exec(await server.firstLine)?.[1];
    if (!port) throw new BenchError("program-failed", "zio-echo-server printed no port");
    const clientProgram = programPath("zio-echo-client");
    const client = new Program(clientProgram, clientArguments(options, port), contenderEnvironment(plain));
    running.push(client);
    const clientReport = await client.report<ClientReport>().catch(async (error: unknown) => {
      const { stderr } = await client.ended;
      if (!stderr.includes("wrong messages")) throw error;
      throw new BenchError("wrong-data", `${contender.name}, ${options.copies} copies: ${stderr.trim()}`);
    });
    const serverReport = await server.report<ServerReport>();
    const counters = statsDirectory === undefined ? null : countersIn(statsDirectory, contender);
    return { server: serverReport, client: clientReport, counters };
  } catch (error) {
    if (timedOut) throw new BenchError("timeout", `${contender.name}: no end within ${timeoutMs} ms`, { cause: error });
    throw error;
  } finally {
    clearTimeout(timer);
    for (const program of running) program.kill();
    await Promise.allSettled(running.map((program) => program.ended));
    if (statsDirectory !== undefined) await rm(statsDirectory, { recursive: true, force: true });
  }
}
