// A connection to Redis, one request at a time: enough to store, read and delete binary values.
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { BenchError } from "./bench-error.js";

export class RedisConnection {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #wake: (() => void) | undefined;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
      this.#wake?.();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#closed = true;
      this.#wake?.();
    });
  }

  static async open(port: number): Promise<RedisConnection> {
    const socket = createConnection({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new RedisConnection(socket);
  }

  close(): void {
    this.#socket.destroy();
  }

  async set(key: string, value: Buffer): Promise<void> {
    this.#socket.write(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n`);
    this.#socket.write(value);
    this.#socket.write("\r\n");
    await this.#expect("+OK");
  }

  async delete(key: string): Promise<void> {
    this.#socket.write(`*2\r\n$3\r\nDEL\r\n$${key.length}\r\n${key}\r\n`);
    await this.#expect(":1");
  }

  async get(key: string): Promise<Buffer> {
    this.#socket.write(`*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`);
    const length = /^\$(\d+)$/.exec(await this.#line())?.[1];
    if (length === undefined) throw new BenchError("wrong-data", `Redis has no ${key}`);
    const value = await this.#take(Number(length) + 2);
    return value.subarray(0, -2);
  }

  async #expect(reply: string): Promise<void> {
    const line = await this.#line();
    if (line !== reply) throw new BenchError("program-failed", `Redis answered ${line}, not ${reply}`);
  }

  async #more(): Promise<void> {
    if (this.#closed) throw new BenchError("program-failed", "Redis closed the connection");
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#bytes < length) await this.#more();
    const all = Buffer.concat(this.#chunks);
    this.#chunks = all.length > length ? [all.subarray(length)] : [];
    this.#bytes -= length;
    return all.subarray(0, length);
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = Buffer.concat(this.#chunks).indexOf("\r\n");
      if (end >= 0) return (await this.#take(end + 2)).toString("latin1", 0, end);
      await this.#more();
    }
  }
}
