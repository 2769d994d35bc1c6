import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { ZioError } from "@zio/core";
import { native } from "./load-native.js";
import type { NativePool, PoolStats, Recovery } from "./native-types.js";
import { PoolError, unwrap } from "./pool-error.js";
import { type LogOwner, PoolLog } from "./pool-log.js";

export interface CreateOptions {
  /** Of the pool, a multiple of 4096; all of it is allocated at once. */
  sizeBytes: number;
  /** For small writes and for what describes the others; a quarter of the pool unless told. */
  ringBytes?: number;
  /** How many files can be under the log at a time; by the size of the pool unless told. */
  files?: number;
  /** Keeps checksums of the data too: without them a bit that flips in data is not noticed. */
  checksumData?: boolean;
}

export interface OpenOptions {
  /** Makes the pool where it does not exist. */
  create?: CreateOptions;
  /** Applies what a log holds also to files that somebody else has changed since, and lets go of files that are gone. */
  acceptChanged?: boolean;
}

/** Makes a pool; the file must not exist. */
export async function createPool(path: string, options: CreateOptions): Promise<void> {
  const { sizeBytes, ringBytes = 0, files = 0, checksumData = false } = options;
  for (const [name, value] of Object.entries({ sizeBytes, ringBytes, files }))
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${name} must be a whole number, not ${value}`);
  if (sizeBytes % 4096 !== 0) throw new RangeError(`sizeBytes must be a multiple of 4096, not ${sizeBytes}`);
  await unwrap(native().create(path, sizeBytes, ringBytes, files, checksumData));
}

/** From here on the log is applied in the background. */
const busyPercent = 50;

/** A pool that this process has open. */
export class Pool {
  readonly path: string;
  /** What opening it found and did. */
  readonly recovery: Recovery;
  #handle: NativePool | undefined;
  readonly #pending = new Set<Promise<unknown>>();
  readonly #logs = new Set<PoolLog>();
  #digesting: Promise<void> | undefined;

  private constructor(path: string, handle: NativePool, recovery: Recovery) {
    this.path = path;
    this.#handle = handle;
    this.recovery = recovery;
  }

  /** Opens a pool, and applies what its log holds where nobody closed it. One process tree at a time can have it open. */
  static async open(path: string, options: OpenOptions = {}): Promise<Pool> {
    const open = () => unwrap(native().open(path, options.acceptChanged ?? false));
    let opened: Awaited<ReturnType<typeof open>>;
    try {
      opened = await open();
    } catch (error) {
      if (!options.create || !(error instanceof PoolError) || error.code !== "ENOENT" || error.kind !== "SYSTEM")
        throw error;
      await createPool(path, options.create);
      opened = await open();
    }
    return new Pool(path, ...opened);
  }

  /** Puts a file under the log; it is made where it is absent. */
  async log(path: string): Promise<PoolLog> {
    const absolute = resolve(path);
    const real = await realpath(absolute).catch(async () =>
      join(await realpath(dirname(absolute)), basename(absolute)),
    );
    const file = await this.#track(unwrap(native().attach(this.#open(), real)));
    const log = new PoolLog(this.#owner, real, file);
    this.#logs.add(log);
    return log;
  }

  stats(): PoolStats {
    return native().stats(this.#open());
  }

  /** Resolves when everything that was appended, to any log, is durable. */
  async sync(): Promise<void> {
    await this.#track(unwrap(native().sync(this.#open())));
  }

  /** Applies the log to its files, syncs them and gives the space back. */
  async digest(): Promise<void> {
    await this.#track(unwrap(native().digest(this.#open())));
  }

  /** Grows or shrinks the pool, which nothing else may use meanwhile. */
  async resize(sizeBytes: number): Promise<void> {
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % 4096 !== 0)
      throw new RangeError(`sizeBytes must be a multiple of 4096, not ${sizeBytes}`);
    await this.#idle();
    await this.#track(unwrap(native().resize(this.#open(), sizeBytes)));
  }

  /** Applies the log and closes. A process that ends without it leaves the log for the next open. */
  async close(): Promise<void> {
    if (this.#handle === undefined) return;
    await Promise.all([...this.#logs].map((log) => log.close()));
    await this.#idle();
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle !== undefined) await unwrap(native().close(handle));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #owner: LogOwner = {
    handle: () => this.#open(),
    track: (work) => this.#track(work),
    appended: () => this.#relieve(),
    sync: () => this.sync(),
    digest: () => this.digest(),
    left: (log) => this.#logs.delete(log),
  };

  #open(): NativePool {
    if (this.#handle === undefined) throw new ZioError(`the pool ${this.path} is closed`, { code: "CLOSED" });
    return this.#handle;
  }

  /** What ends may have begun a digest. */
  async #idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending);
  }

  #track<Value>(work: Promise<Value>): Promise<Value> {
    this.#pending.add(work);
    const done = () => this.#pending.delete(work);
    work.then(done, done);
    return work;
  }

  /** A digest that fails here fails again, and is told of, where somebody waits for one. */
  #relieve(): void {
    if (this.#digesting !== undefined || this.#handle === undefined) return;
    const { ringUsedBytes, ringBytes, dataBytes, dataFreeBytes } = this.stats();
    const used = Math.max(ringUsedBytes / ringBytes, 1 - dataFreeBytes / dataBytes);
    if (used * 100 < busyPercent) return;
    const end = () => {
      this.#digesting = undefined;
    };
    this.#digesting = this.digest().then(end, end);
  }
}
