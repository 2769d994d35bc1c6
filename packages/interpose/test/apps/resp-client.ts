// A small Redis client of our own, so that nothing between the test and the server copies, caches or retries.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export type Reply = Buffer | string | number | null | Reply[];

const lineEnd = Buffer.from("\r\n");

/** Bytes that arrived and were not taken yet; joined only when a reply needs them whole. */
class Incoming {
  #chunks: Buffer[] = [];
  length = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.length += chunk.length;
  }

  /** The first `bytes` bytes, left in place. */
  peek(bytes: number): Buffer {
    const first = this.#chunks[0]!;
    if (first.length >= bytes) return first.subarray(0, bytes);
    this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!.subarray(0, bytes);
  }

  take(bytes: number): Buffer {
    const taken = this.peek(bytes);
    const rest = this.#chunks[0]!.subarray(bytes);
    if (rest.length > 0) this.#chunks[0] = rest;
    else this.#chunks.shift();
    this.length -= bytes;
    return taken;
  }

  /** The next line without its end, or undefined when it is not there in full. */
  takeLine(): string | undefined {
    if (this.length === 0) return undefined;
    const head = this.peek(Math.min(this.length, 4096));
    const end = head.indexOf(lineEnd);
    if (end < 0) return undefined;
    return this.take(end + 2).toString("latin1", 0, end);
  }
}

export class RespClient {
  readonly #incoming = new Incoming();
  readonly #waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = [];
  /** The length of a bulk string whose bytes are still coming. */
  #bulk: number | undefined;
  /** Replies still missing of an array, outermost first. */
  readonly #arrays: { missing: number; items: Reply[] }[] = [];

  private constructor(readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#incoming.push(chunk);
      this.#parse();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("Redis closed the connection")));
  }

  /** Connects to a server that may still be starting or loading. */
  static async open(port: number, isAlive: () => boolean, patienceMs = 20_000): Promise<RespClient> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const socket = connect(port, "127.0.0.1");
      try {
        await once(socket, "connect");
        const client = new RespClient(socket);
        await client.command("PING");
        return client;
      } catch (error) {
        socket.destroy();
        if (!isAlive()) throw new Error("redis-server ended while it started", { cause: error });
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  }

  /** Sends a command at once; without waiting for the reply, further commands are pipelined behind it. */
  command(...words: (string | Buffer | number)[]): Promise<Reply> {
    this.socket.cork();
    this.socket.write(`*${words.length}\r\n`);
    for (const word of words) {
      const bytes = Buffer.isBuffer(word) ? word : Buffer.from(String(word));
      this.socket.write(`$${bytes.length}\r\n`);
      this.socket.write(bytes);
      this.socket.write(lineEnd);
    }
    this.socket.uncork();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  async get(key: string): Promise<Buffer | null> {
    const reply = await this.command("GET", key);
    if (reply !== null && !Buffer.isBuffer(reply)) throw new Error(`GET ${key} replied ${JSON.stringify(reply)}`);
    return reply;
  }

  async set(key: string, value: Buffer): Promise<void> {
    const reply = await this.command("SET", key, value);
    if (reply !== "OK") throw new Error(`SET ${key} replied ${JSON.stringify(reply)}`);
  }

  /** The fields of a section of INFO. */
  async info(section: string): Promise<Map<string, string>> {
    const text = String(await this.command("INFO", section));
    return new Map([...text.matchAll(/^(\w+):(.*)\r$/gm)].map((match) => [match[1]!, match[2]!]));
  }

  close(): void {
    this.socket.removeAllListeners("close").destroy();
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #parse(): void {
    for (;;) {
      if (this.#bulk !== undefined) {
        if (this.#incoming.length < this.#bulk + 2) return;
        const value = this.#incoming.take(this.#bulk);
        this.#bulk = undefined;
        this.#incoming.take(2);
        this.#deliver(value);
        continue;
      }
      const line = this.#incoming.takeLine();
      if (line === undefined) return;
      const rest = line.slice(1);
      if (line[0] === "+") this.#deliver(rest);
      else if (line[0] === ":") this.#deliver(Number(rest));
      else if (line[0] === "-") this.#deliver(new Error(rest));
      else if (rest === "-1") this.#deliver(null);
      else if (line[0] === "$") this.#bulk = Number(rest);
      else if (line[0] === "*") this.#openArray(Number(rest));
      else {
        this.socket.destroy(new Error(`no Redis reply starts with ${JSON.stringify(line.slice(0, 40))}`));
        return;
      }
    }
  }

  #openArray(count: number): void {
    if (count === 0) this.#deliver([]);
    else this.#arrays.push({ missing: count, items: [] });
  }

  #deliver(reply: Reply | Error): void {
    let whole = reply;
    for (let array = this.#arrays.at(-1); array; array = this.#arrays.at(-1)) {
      array.items.push(whole instanceof Error ? whole.message : whole);
      if (--array.missing > 0) return;
      whole = array.items;
      this.#arrays.pop();
    }
    const waiter = this.#waiting.shift();
    if (whole instanceof Error) waiter?.reject(whole);
    else waiter?.resolve(whole);
  }
}
