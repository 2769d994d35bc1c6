// The two ends of a benchmark on two hosts. `--role server` waits for a control connection and starts an echo server for
// each sample that it is asked for; `--role client` asks, and loads it over the network. Lines of JSON; one sample at a
// time. The one who connects chooses among the settings of the echo server and the policies, never a program or a path.
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { createInterface, type Interface } from "node:readline";
import { BenchError } from "./bench-error.js";
import { type Contender, plain, policies, privateDirectory, zioContender } from "./contender.js";
import { type EchoOptions, type EchoSample, echoServerCommand, type ServerReport } from "./echo.js";
import { chooseCpus, type MachineFacts, machineFacts } from "./machine.js";
import { SampleRun } from "./programs.js";

export const defaultPort = 47_100;

interface Hello {
  version: 1;
  machine: MachineFacts;
}

interface Request {
  contender: { name: string; policy: string | undefined };
  /** Whether the server is to run on one core. */
  pin: boolean;
  options: Record<string, unknown>;
}

type Reply = { port: number } | Pick<EchoSample, "server" | "counters"> | { error: string; code: string };

const touched = ["touchedPages", "touchedPercent"] as const;
const numbers = ["copies", "messageBytes", "warmup", ...touched, "connections", "inTurn"] as const;
const words = { touchMode: ["read", "write"], touchOrder: ["sequential", "random"] } as const;

/** The settings of the server alone, each of the kind that it must be. */
function serverOptions(options: Record<string, unknown>): EchoOptions {
  const taken: Record<string, unknown> = {};
  for (const name of numbers) if (Number.isSafeInteger(options[name])) taken[name] = options[name];
  for (const [name, choices] of Object.entries(words))
    if ((choices as readonly unknown[]).includes(options[name])) taken[name] = options[name];
  return taken as unknown as EchoOptions;
}

function contenderNamed({ name, policy }: Request["contender"]): Contender {
  if (policy === undefined || policy === null) return plain;
  const known = policies.find((candidate) => candidate === policy);
  if (!known) throw new BenchError("bad-option", `no policy is called ${policy}`);
  return zioContender(known, name);
}

async function answer(request: Request, host: string, send: (reply: Reply) => void, gone: Promise<unknown>) {
  const contender = contenderNamed(request.contender);
  const run = new SampleRun(contender, contender.counts ? await privateDirectory("zio-bench-stats-") : undefined);
  try {
    const cpus = request.pin ? chooseCpus() : undefined;
    const [path, args] = echoServerCommand({ ...serverOptions(request.options), cpus });
    const server = run.startServer(path, [...args, "--host", host]);
    send({ port: await server.port() });
    const report = await Promise.race([server.report<ServerReport>(), gone.then(() => undefined)]);
    if (report) send({ server: report, counters: run.counters() });
  } finally {
    await run.end();
  }
}

/** Serves until it is closed. Listens where it is told, and its echo servers do too. */
export async function serveSamples(host: string, port: number): Promise<Server> {
  const control = createServer((socket) => {
    const gone = once(socket, "close").catch(() => {});
    const send = (value: Hello | Reply) => void socket.write(`${JSON.stringify(value)}\n`);
    socket.on("error", () => {});
    send({ version: 1, machine: machineFacts() });
    let last = Promise.resolve();
    createInterface({ input: socket }).on("line", (line) => {
      last = last
        .then(() => answer(JSON.parse(line) as Request, host, send, gone))
        .catch((error: unknown) => {
          const code = error instanceof BenchError ? error.code : "program-failed";
          send({ error: (error as Error).message, code });
        });
    });
  });
  control.listen(port, host);
  await once(control, "listening");
  return control;
}

/** The other end. */
export class RemoteServer {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  machine: MachineFacts | undefined;

  private constructor(
    readonly host: string,
    socket: Socket,
  ) {
    this.#socket = socket;
    this.#reader = createInterface({ input: socket });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** To `HOST` or `HOST:PORT`. */
  static async connect(address: string): Promise<RemoteServer> {
    const { host, port } = parseAddress(address);
    const socket = createConnection({ host, port, noDelay: true });
    await once(socket, "connect").catch((error: Error) => {
      throw new BenchError("program-failed", `no \`--role server\` at ${host} port ${port}: ${error.message}`);
    });
    socket.on("error", () => {});
    const remote = new RemoteServer(host, socket);
    const hello = await remote.#next<Hello>();
    if (hello.version !== 1) throw new BenchError("program-failed", "the server's side is of another version");
    remote.machine = hello.machine;
    return remote;
  }

  close(): void {
    this.#reader.close();
    this.#socket.destroy();
  }

  async #next<Value>(): Promise<Value> {
    const { value, done } = await this.#lines.next();
    if (done) throw new BenchError("program-failed", "the server's side closed the connection");
    return JSON.parse(value) as Value;
  }

  async #reply<Value>(): Promise<Value> {
    const reply = await this.#next<Value | { error: string; code: BenchError["code"] }>();
    if (reply && typeof reply === "object" && "error" in reply) throw new BenchError(reply.code, reply.error);
    return reply as Value;
  }

  /** Starts a server there; its port. */
  async start({ name, policy }: Contender, options: EchoOptions): Promise<number> {
    const { cpus, ...settings } = options;
    const request = { contender: { name, policy }, pin: cpus !== undefined, options: settings };
    this.#socket.write(`${JSON.stringify(request)}\n`);
    return (await this.#reply<{ port: number }>()).port;
  }

  /** What it said at its end. */
  finish(): Promise<Pick<EchoSample, "server" | "counters">> {
    return this.#reply();
  }
}

export function parseAddress(address: string): { host: string; port: number } {
  const match = /^([^:]+)(?::(\d+))?$/.exec(address);
  if (!match) throw new BenchError("bad-option", `${address} is no HOST or HOST:PORT`);
  return { host: match[1]!, port: Number(match[2] ?? defaultPort) };
}
