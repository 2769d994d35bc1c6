// HTTP without zIO on both ends of a program that is under it: a server that knows which bytes belong to a path, and a
// client that looks at every byte that comes back.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { request as requestTls } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { bytesOfSeed, sha256 } from "./stream.js";

const bodies = new Map<string, Buffer>();

/** The body of `/SEED/LENGTH`. */
export function bodyOf(path: string): Buffer {
  const [, seed, length] = /^\/(\d+)\/(\d+)/.exec(path) ?? [];
  const key = `${seed}/${length}`;
  const body = bodies.get(key) ?? bytesOfSeed(Number(seed), Number(length));
  bodies.set(key, body);
  return body;
}

async function digest(message: IncomingMessage, pauseMs: number): Promise<{ length: number; hash: string }> {
  const hash = createHash("sha256");
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    hash.update(chunk);
    length += chunk.length;
    if (pauseMs > 0) await sleep(pauseMs);
  }
  return { length, hash: hash.digest("hex") };
}

async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = message.url ?? "/";
  if (message.method === "GET") {
    const body = bodyOf(path);
    if (path.includes("chunked")) {
      for (let at = 0, step = 1; at < body.length; at += step, step = (step * 7 + 13_331) % 300_000)
        response.write(body.subarray(at, at + step));
      response.end();
      return;
    }
    response.writeHead(200, { "content-length": body.length }).end(body);
    return;
  }
  const { length, hash } = await digest(message, path.includes("slow") ? 2 : 0);
  response.end(`${message.method} ${length} ${hash}`);
}

export interface Backend {
  port: number;
  close(): void;
}

/** GET gives the body of the path, chunked where the path says so; PUT and POST give the hash of what was received. */
export async function startBackend(): Promise<Backend> {
  const server = createServer((message, response) => {
    answer(message, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

export interface Exchange {
  port: number;
  path: string;
  method?: "GET" | "PUT" | "POST";
  body?: Buffer;
  headers?: Record<string, string>;
  tls?: boolean;
  /** Between the pieces of the answer: the program meets full socket buffers. */
  pauseMs?: number;
  /** Go away after so many bytes of the answer. */
  abandonAfter?: number;
}

export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

/** One request on a connection of its own. Rejects where the answer is cut short. */
export function exchange(wanted: Exchange): Promise<Answer> {
  const { port, path, method = "GET", body, headers = {}, tls = false, pauseMs = 0, abandonAfter } = wanted;
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, method, agent: false, rejectUnauthorized: false, timeout: 60_000 };
    const length = body && !headers["transfer-encoding"] ? { "content-length": String(body.length) } : {};
    const call = (tls ? requestTls : request)({ ...options, headers: { ...length, ...headers } }, async (message) => {
      const chunks: Buffer[] = [];
      let received = 0;
      try {
        for await (const chunk of message as AsyncIterable<Buffer>) {
          chunks.push(chunk);
          received += chunk.length;
          if (abandonAfter !== undefined && received >= abandonAfter) break;
          if (pauseMs > 0) await sleep(pauseMs);
        }
        resolve({ status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(chunks) });
      } catch (error) {
        reject(error);
      } finally {
        message.destroy();
      }
    });
    call.once("error", reject).once("timeout", () => call.destroy(new Error("no answer within 60 s")));
    call.end(body);
  });
}

/** Collects checks; several may be under way at once. */
export class Checks {
  readonly failed: string[] = [];
  readonly same: Record<string, string> = {};
  count = 0;

  constructor(private readonly log: (text: string) => void) {}

  /** A check that must hold plain as well as under zIO. `problem` says what is wrong, or is empty. */
  async check(name: string, problem: () => Promise<string> | string): Promise<void> {
    this.count++;
    const said = await Promise.resolve()
      .then(problem)
      .catch((error: Error) => error.message);
    if (said === "") return;
    this.failed.push(name);
    this.log(`${name}: ${said}`);
  }

  /** A download must give the bytes of its path. */
  download(name: string, wanted: Exchange, expected = bodyOf(wanted.path)): Promise<void> {
    return this.check(name, async () => {
      const { status, body } = await exchange(wanted);
      if (status !== 200) return `status ${status}`;
      return differenceOf(body, expected);
    });
  }

  /** An upload's answer must be the hash of what was sent. */
  upload(name: string, wanted: Exchange & { body: Buffer }): Promise<void> {
    return this.check(name, async () => {
      const { status, body } = await exchange({ method: "PUT", ...wanted });
      const expected = `${wanted.method ?? "PUT"} ${wanted.body.length} ${sha256(wanted.body)}`;
      return status === 200 && body.toString() === expected ? "" : `status ${status}, ${body.toString().slice(0, 200)}`;
    });
  }

  get outcome() {
    return { checks: this.count, failed: this.failed, same: this.same };
  }
}

/** Where bytes differ first, for the log; empty where they are equal. */
export function differenceOf(got: Buffer, expected: Buffer): string {
  if (got.equals(expected)) return "";
  const shared = Math.min(got.length, expected.length);
  let at = 0;
  while (at < shared && got[at] === expected[at]) at++;
  let end = at;
  for (let i = at; i < shared; i++) if (got[i] !== expected[i]) end = i + 1;
  return `${got.length} bytes for ${expected.length}; wrong from ${at} to ${end}`;
}

/** Runs tasks, so many at a time, in their order. */
export async function atOnce(width: number, tasks: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let task = tasks[next++]; task; task = tasks[next++]) await task();
  };
  await Promise.all(Array.from({ length: width }, lane));
}
