import { ZioError } from "@zio/core";
import { native } from "./load-native.js";
import type { NativeFile, NativePool } from "./native-types.js";
import { unwrap } from "./pool-error.js";

/** A range of bytes of a log. */
export interface LogRange {
  offset: number;
  /** To the end unless told. */
  length?: number;
}

interface WaitingAppend {
  buffers: Uint8Array[];
  bytes: number;
  resolve(offset: number): void;
  reject(error: unknown): void;
}

/** What a log asks of its pool. */
export interface LogOwner {
  handle(): NativePool;
  /** Keeps the pool open until the work is done. */
  track<Value>(work: Promise<Value>): Promise<Value>;
  appended(): void;
  sync(): Promise<void>;
  digest(): Promise<void>;
  left(log: PoolLog): void;
}

/** A file under the log of a pool. Made by `Pool.log`. */
export class PoolLog {
  /** The file that a digest writes to. */
  readonly path: string;
  readonly #owner: LogOwner;
  #file: NativeFile | undefined;
  #waiting: WaitingAppend[] = [];
  #running: Promise<void> | undefined;

  /** @internal */
  constructor(owner: LogOwner, path: string, file: NativeFile) {
    this.#owner = owner;
    this.path = path;
    this.#file = file;
  }

  /** The size of the file as readers of this log see it. */
  get sizeBytes(): number {
    return native().fileBytes(this.#open());
  }

  /**
   * Adds the bytes at the end, in one piece and in the order of the calls, and resolves to their offset: then they survive
   * the death of the process; a power cut only after `sync`. The buffers must not change before.
   */
  async append(buffers: Uint8Array | readonly Uint8Array[]): Promise<number> {
    this.#open();
    const list = buffers instanceof Uint8Array ? [buffers] : [...buffers];
    const bytes = list.reduce((sum, buffer) => sum + buffer.byteLength, 0);
    const appended = new Promise<number>((resolve, reject) => {
      this.#waiting.push({ buffers: list, bytes, resolve, reject });
    });
    this.#running ??= this.#owner.track(this.#appendWaiting());
    return appended;
  }

  /** Resolves when everything that was appended before the call is durable. */
  async sync(): Promise<void> {
    this.#open();
    await this.#running;
    await this.#owner.sync();
  }

  /** The bytes of a range, from the log and the file; less where it ends earlier. Sees every append before the call. */
  async read({ offset, length }: LogRange): Promise<Buffer> {
    if (!Number.isSafeInteger(offset) || offset < 0)
      throw new RangeError(`offset must be a whole number, not ${offset}`);
    this.#open();
    await this.#running;
    const left = Math.max(0, this.sizeBytes - offset);
    const bytes = Buffer.allocUnsafeSlow(Math.min(length ?? left, left));
    if (bytes.length === 0) return bytes;
    const read = native().read(this.#owner.handle(), this.#open(), offset, bytes);
    return bytes.subarray(0, await this.#owner.track(unwrap(read)));
  }

  /** Applies the log, of all files of the pool, to the files themselves, and gives its space back. */
  async digest(): Promise<void> {
    this.#open();
    await this.#running;
    await this.#owner.digest();
  }

  /** Ends the use of this log; what was appended stays, and is applied by a digest. */
  async close(): Promise<void> {
    await this.#running;
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    native().detach(file);
    this.#owner.left(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): NativeFile {
    this.#owner.handle();
    if (this.#file === undefined) throw new ZioError(`the log of ${this.path} is closed`, { code: "CLOSED" });
    return this.#file;
  }

  /** What was appended while a call was under way goes with the next one. */
  async #appendWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0);
      const buffers = group.flatMap(({ buffers }) => buffers);
      try {
        const answer = native().append(this.#owner.handle(), this.#open(), buffers);
        const [written, offset] = await unwrap(answer);
        this.#settle(group, written, offset);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
      this.#owner.appended();
    }
    this.#running = undefined;
  }

  #settle(group: readonly WaitingAppend[], written: number, offset: number): void {
    let end = offset;
    for (const { bytes, resolve, reject } of group) {
      const start = end;
      end += bytes;
      if (end <= offset + written) resolve(start);
      else reject(new ZioError(`${this.path}: there is no space in the pool`, { code: "ENOSPC", errno: 28 }));
    }
  }
}
