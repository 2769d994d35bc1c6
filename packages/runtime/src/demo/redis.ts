// The demo with Redis: SET and GET of large values over a Unix socket, every value compared.
import { randomFillSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ZioError } from "@zio/core";
import { resolveCommand } from "../target/resolve-command.js";
import { atExit } from "./at-exit.js";
import type { Measurement } from "./contender.js";
import { RespClient } from "./resp.js";
import { StartedProgram } from "./started-program.js";

export const valueBytes = 512 * 1024;
const keys = 16;

/** The redis-server on the PATH. */
export function redisServerPath(): string | undefined {
  const resolution = resolveCommand(Buffer.from("redis-server"), Buffer.from(process.env.PATH ?? ""));
  return resolution.found ? resolution.path.toString() : undefined;
}

/** The CPU time that Redis says it has used. */
async function cpuMsOf(client: RespClient): Promise<number> {
  const info = String(await client.command("INFO", "cpu"));
  const seconds = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1] ?? 0);
  return (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1000;
}

async function setAndGet(client: RespClient, value: Buffer, number: number): Promise<void> {
  value.writeBigUInt64LE(BigInt(number), (number * 8) % (valueBytes - 8));
  const key = `key:${number % keys}`;
  const [, read] = await Promise.all([client.command("SET", key, value), client.command("GET", key)]);
  if (read === null || Buffer.compare(read, value) !== 0) {
    throw new ZioError(`Redis returned another value than was set (pair ${number})`, { code: "wrong-data" });
  }
}

async function measureConnected(client: RespClient, pairs: number): Promise<Measurement> {
  const value = randomFillSync(Buffer.alloc(valueBytes));
  for (let number = 0; number < keys; number++) await setAndGet(client, value, number);
  const cpuMs = await cpuMsOf(client);
  const startMs = performance.now();
  for (let number = 0; number < pairs; number++) await setAndGet(client, value, number);
  const wallMs = performance.now() - startMs;
  return { messages: pairs, bytes: pairs * valueBytes, wallMs, cpuMs: (await cpuMsOf(client)) - cpuMs };
}

/** Sets and gets `pairs` values on a Redis of its own. */
export async function measureRedis(path: string, pairs: number, env: NodeJS.ProcessEnv): Promise<Measurement> {
  const directory = mkdtempSync(join(tmpdir(), "zio-demo-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const forget = atExit(remove);
  const socket = join(directory, "redis.sock");
  const options = { port: 0, unixsocket: socket, save: "", appendonly: "no", dir: directory, daemonize: "no" };
  const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = new StartedProgram(path, words, env);
  try {
    await server.line(/ready to accept connections/i);
    const client = await RespClient.connect(socket);
    try {
      return await measureConnected(client, pairs);
    } finally {
      client.close();
    }
  } finally {
    await server.stop();
    remove();
    forget();
  }
}
