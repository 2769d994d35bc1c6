// A client for Redis with no more than the demo needs: commands and replies of bulk strings, simple strings and errors.
import { connect, type Socket } from "node:net";
import { ZioError } from "@zio/core";

interface Waiting {
  resolve: (reply: Buffer | null) => void;
  reject: (error: Error) => void;
}

const lineBreak = Buffer.from("\r\n");

/** A connection whose replies come in the order of its commands. */
export class RespClient {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  /** Nothing can be answered before so many bytes are there. */
  #neededBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new ZioError("Redis closed the connection", { code: "ECONNRESET" })));
  }

  static connect(path: string): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ path }, () => resolve(new RespClient(socket)));
      socket.once("error", reject);
    });
  }

  /** Sends a command; null is the reply of a missing key. */
  command(...words: (string | Buffer)[]): Promise<Buffer | null> {
    const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`)];
    for (const word of words.map((each) => Buffer.from(each))) {
      parts.push(Buffer.from(`$${word.length}\r\n`), word, lineBreak);
    }
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#waiting.length = 0;
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    while (this.#bufferedBytes > 0 && this.#bufferedBytes >= this.#neededBytes) {
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      const used = this.#answerFrom(bytes);
      this.#chunks = [bytes.subarray(used)];
      this.#bufferedBytes = bytes.length - used;
      if (used === 0) return;
    }
  }

  /** Answers one command from the start of `bytes`; returns the bytes of the reply, 0 where it is not whole. */
  #answerFrom(bytes: Buffer): number {
    this.#neededBytes = 0;
    const end = bytes.indexOf(lineBreak);
    if (end < 0) return 0;
    const kind = String.fromCharCode(bytes[0] ?? 0);
    const line = bytes.toString("latin1", 1, end);
    const start = end + lineBreak.length;
    if (kind !== "$") {
      const waiting = this.#waiting.shift();
      if (kind === "-") waiting?.reject(new ZioError(`Redis: ${line}`, { code: "redis" }));
      else waiting?.resolve(Buffer.from(line));
      return start;
    }
    const length = Number(line);
    const total = length < 0 ? start : start + length + lineBreak.length;
    if (bytes.length < total) {
      this.#neededBytes = total;
      return 0;
    }
    this.#waiting.shift()?.resolve(length < 0 ? null : bytes.subarray(start, start + length));
    return total;
  }
}
