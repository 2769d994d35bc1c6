// A redis-server of a session, and the values that a test knows it must hold.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { App, AppSession } from "./app-session.js";
import { contentOf, expectSame } from "./content.js";
import { freePort } from "./free-port.js";
import { RespClient } from "./resp-client.js";

const mebibyte = 1 << 20;

export class RedisServer {
  readonly #clients: RespClient[] = [];

  private constructor(
    readonly app: App,
    readonly port: number,
  ) {}

  /** Starts one on a port of its own; the files of `directory` (below the session's) are loaded first. */
  static async start(session: AppSession, directory: string, ...settings: string[]): Promise<RedisServer> {
    const port = await freePort();
    const path = join(session.directory, directory);
    mkdirSync(path, { recursive: true });
    const own = ["--port", port, "--bind", "127.0.0.1", "--dir", path, "--daemonize", "no", "--save", ""].map(String);
    const app = session.start("redis-server", [...own, ...settings]);
    const server = new RedisServer(app, port);
    await server.connect();
    return server;
  }

  async connect(): Promise<RespClient> {
    const client = await RespClient.open(this.port, () => this.app.isRunning);
    this.#clients.push(client);
    return client;
  }

  /** Ends it as its own SHUTDOWN does, which flushes an append-only file. */
  async shutDown(): Promise<void> {
    for (const client of this.#clients) client.close();
    const { status, stdout } = await this.app.stop("SIGTERM");
    if (status !== 0) throw new Error(`redis-server ended with ${status}: ${stdout.toString().slice(-2000)}`);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.app.stop("SIGKILL");
  }

  /** Waits until a background job that INFO tells of has ended. */
  async waitWhile(client: RespClient, ...fields: string[]): Promise<void> {
    for (;;) {
      const info = await client.info("persistence");
      if (fields.every((field) => info.get(field) === "0")) return;
      await sleep(20);
    }
  }
}

/** Keys and the content that each must have. A value is named by key and version, so an old one is told from the last. */
export class KnownValues {
  readonly #versions = new Map<string, number>();

  constructor(readonly sizeOf: (key: string) => number) {}

  get keys(): string[] {
    return [...this.#versions.keys()];
  }

  content(key: string, version: number): Buffer {
    let hash = 7;
    for (const character of key) hash = Math.imul(hash, 31) + character.charCodeAt(0);
    return contentOf(Math.imul(hash, 65_599) + version, this.sizeOf(key));
  }

  /** The next value of the key, which from now on is the known one. */
  next(key: string): Buffer {
    const version = (this.#versions.get(key) ?? 0) + 1;
    this.#versions.set(key, version);
    return this.content(key, version);
  }

  /** What is known now, for a later comparison. */
  snapshot(): Map<string, number> {
    return new Map(this.#versions);
  }

  async verify(client: RespClient, expected: ReadonlyMap<string, number> = this.#versions): Promise<void> {
    const pending = [...expected].map(async ([key, version]) => {
      expectSame(await client.get(key), this.content(key, version), `${key} version ${version}`);
    });
    await Promise.all(pending);
    const count = await client.command("DBSIZE");
    if (count !== expected.size) throw new Error(`Redis has ${String(count)} keys instead of ${expected.size}`);
  }
}

/** Sizes from 1 KiB to 4 MiB; a few are no multiple of anything. */
export const valueSizes = [1024, 4096, 16_384, 65_536, 100_001, 262_144, 524_288, 777_777, mebibyte, 4 * mebibyte];
