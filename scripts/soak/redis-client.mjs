// A small Redis client of our own, so that nothing between the soak and the server copies, caches or retries. Replies
// arrive in the order of the commands; integers, strings and null are all that the soak asks for.
import { once } from "node:events";
import { connect } from "node:net";

export class RedisClient {
  #chunks = [];
  #length = 0;
  #bulk;
  #waiting = [];
  #failure;

  constructor(socket) {
    this.socket = socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#parse();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("Redis closed the connection")));
  }

  static async open(port) {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RedisClient(socket);
  }

  /** Sent at once: commands that follow without waiting are pipelined behind it. */
  command(...words) {
    if (this.#failure) return Promise.reject(this.#failure);
    this.socket.cork();
    this.socket.write(`*${words.length}\r\n`);
    for (const word of words) {
      const bytes = Buffer.isBuffer(word) ? word : Buffer.from(String(word));
      this.socket.write(`$${bytes.length}\r\n`);
      this.socket.write(bytes);
      this.socket.write("\r\n");
    }
    this.socket.uncork();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The fields of a section of INFO. */
  async info(section) {
    const text = String(await this.command("INFO", section));
    return Object.fromEntries([...text.matchAll(/^(\w+):(.*)\r$/gm)].map((match) => [match[1], match[2]]));
  }

  close() {
    this.socket.removeAllListeners("close").destroy();
    this.#fail(new Error("the connection was closed"));
  }

  #fail(error) {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #take(bytes) {
    if (this.#chunks[0].length < bytes) this.#chunks = [Buffer.concat(this.#chunks)];
    const [first] = this.#chunks;
    if (first.length > bytes) this.#chunks[0] = first.subarray(bytes);
    else this.#chunks.shift();
    this.#length -= bytes;
    return first.subarray(0, bytes);
  }

  #takeLine() {
    if (this.#length > 0 && !this.#chunks[0].includes("\r\n")) this.#chunks = [Buffer.concat(this.#chunks)];
    const end = this.#length > 0 ? this.#chunks[0].indexOf("\r\n") : -1;
    return end < 0 ? undefined : this.#take(end + 2).toString("latin1", 0, end);
  }

  #parse() {
    for (;;) {
      if (this.#bulk !== undefined) {
        if (this.#length < this.#bulk + 2) return;
        const value = this.#take(this.#bulk + 2).subarray(0, this.#bulk);
        this.#bulk = undefined;
        this.#waiting.shift().resolve(value);
        continue;
      }
      const line = this.#takeLine();
      if (line === undefined) return;
      const rest = line.slice(1);
      if (line === "$-1") this.#waiting.shift().resolve(null);
      else if (line[0] === "$") this.#bulk = Number(rest);
      else if (line[0] === "+") this.#waiting.shift().resolve(rest);
      else if (line[0] === ":") this.#waiting.shift().resolve(Number(rest));
      else if (line[0] === "-") this.#waiting.shift().reject(new Error(`Redis: ${rest}`));
      else this.#fail(new Error(`no reply of Redis starts with ${JSON.stringify(line.slice(0, 40))}`));
    }
  }
}
