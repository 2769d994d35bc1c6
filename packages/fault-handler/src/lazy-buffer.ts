import { constants } from "node:buffer";
import { getSystemErrorName } from "node:util";
import { ZioError } from "@zio/core";
import { type CapabilitiesOptions, capabilities, disabledMask } from "./capabilities.js";
import {
  checkedBytes,
  type FileRange,
  type LazyFile,
  type LazyMemorySource,
  readRange,
  takeBytes,
  withFileRange,
} from "./lazy-source.js";
import { native, nativeProblem } from "./load-native.js";
import type { NativeLazyHandle, NativeLazyResult } from "./native-types.js";

const pageBytes = 4096;

export interface LazyBufferOptions extends CapabilitiesOptions {
  /**
   * How many bytes one touch may fill at most, while touches come in ascending order; the first fills one page. A
   * power of two from 4096 on; 262144 unless told.
   */
  maxWindowBytes?: number;
  /**
   * What a touch of bytes finds that cannot be had, because the disk fails or the file became shorter since. "zeros",
   * the default: zeros. "poison" (Linux 6.6): SIGBUS, which ends the process, and EFAULT for system calls, so that
   * wrong bytes are never used. Either way `errors` tells.
   */
  onError?: "zeros" | "poison";
}

export interface LazyMemoryOptions extends LazyBufferOptions {
  /**
   * "copy", the default: the bytes are copied now, and what is done to the source later does not matter. "transfer":
   * the source's ArrayBuffer is taken over and detached, and nothing is copied before the first touch.
   */
  ownership?: "copy" | "transfer";
}

export interface LazyFileOptions extends LazyBufferOptions {
  /** Bytes from the beginning of the file; 0 unless told. */
  offset?: number;
  /** Bytes; to the end of the file unless told. What lies beyond the end reads zero. */
  length?: number;
}

export interface LazyBufferStats {
  /** Touches that had to wait for a fill. */
  faults: number;
  /** Bytes filled so far, whole pages. */
  filledBytes: number;
}

/** A range of the LazyBuffer whose bytes could not be had. */
export interface LazyBufferFailure {
  offset: number;
  length: number;
}

/**
 * An ArrayBuffer whose pages are filled when they are first touched, by JavaScript or by a system call. A thread of
 * the addon fills them, so a touch never needs the event loop; the touching thread waits meanwhile. Where that is not
 * possible everything is filled at once, and `lazy` is false.
 */
export class LazyBuffer implements Disposable {
  /** The memory; writable, and never written back. Empty after `dispose`. */
  readonly buffer: ArrayBuffer;
  readonly byteLength: number;
  /** Whether pages are filled on touch. */
  readonly lazy: boolean;
  /** Why not, where `lazy` is false. */
  readonly reason: string | undefined;
  readonly #handle: NativeLazyHandle | undefined;

  private constructor(buffer: ArrayBuffer, handle: NativeLazyHandle | undefined, reason: string | undefined) {
    this.buffer = buffer;
    this.byteLength = buffer.byteLength;
    this.lazy = handle !== undefined;
    this.reason = reason;
    this.#handle = handle;
  }

  /** Shows the bytes of other memory. */
  static from(source: LazyMemorySource, options: LazyMemoryOptions = {}): LazyBuffer {
    const { ownership = "copy" } = options;
    const settings = checkedSettings(options);
    const { bytes, isOwned } = takeBytes(source, ownership);
    const eager = () => bytes.slice().buffer as ArrayBuffer;
    return LazyBuffer.#create(bytes.byteLength, settings, eager, ({ window, poison, mask }) =>
      native().lazyRegionOfMemory(bytes, isOwned, window, poison, mask),
    );
  }

  /**
   * Shows a range of a file. A touch sees the file as it is at that moment. The file must not be served by this
   * process itself, as a FUSE daemon would.
   */
  static fromFile(file: LazyFile, options: LazyFileOptions = {}): LazyBuffer {
    const settings = checkedSettings(options);
    return withFileRange(file, options, (range) => {
      const eager = () => readRange(range);
      if (!range.isRegular) return new LazyBuffer(eager(), undefined, "not a regular file");
      return LazyBuffer.#create(range.length, settings, eager, (checked) => lazyRegionOfFile(range, checked));
    });
  }

  static #create(
    length: number,
    settings: Settings,
    eager: () => ArrayBuffer,
    lazy: (settings: Settings) => NativeLazyResult,
  ): LazyBuffer {
    if (length === 0) return new LazyBuffer(new ArrayBuffer(0), undefined, "it is empty");
    if (length > constants.MAX_LENGTH) {
      throw new RangeError(`${length} bytes are more than an ArrayBuffer holds here (${constants.MAX_LENGTH})`);
    }
    const problem = nativeProblem();
    if (problem) return new LazyBuffer(eager(), undefined, `${problem.reason}; ${problem.fix}`);
    const result = lazy(settings);
    if (typeof result === "object" && result !== null) return new LazyBuffer(result[1], result[0], undefined);
    if (typeof result === "number") return new LazyBuffer(eager(), undefined, whyNot(result, settings));
    throw refusal(result);
  }

  stats(): LazyBufferStats {
    if (!this.#handle) return { faults: 0, filledBytes: this.byteLength };
    const [faults = 0, filledBytes = 0] = native().lazyRegionStats(this.#handle);
    return { faults, filledBytes };
  }

  /** How many pages could not be had. */
  get errorCount(): number {
    return this.#handle ? (native().lazyRegionStats(this.#handle)[2] ?? 0) : 0;
  }

  /** The first of them, at most 16, in the order of the touches. */
  get errors(): LazyBufferFailure[] {
    const ranges = this.#handle ? native().lazyRegionStats(this.#handle).slice(3) : [];
    const failures: LazyBufferFailure[] = [];
    for (let i = 0; i + 1 < ranges.length; i += 2) {
      const offset = ranges[i] ?? 0;
      failures.push({ offset, length: Math.min(ranges[i + 1] ?? 0, this.byteLength - offset) });
    }
    return failures;
  }

  /**
   * Detaches `buffer` and gives the memory back at once; without it that happens when `buffer` is collected. No
   * asynchronous operation may be using the buffer.
   */
  dispose(): void {
    if (!this.#handle || this.buffer.byteLength === 0) return;
    if (native().lazyRegionDispose(this.#handle, this.buffer)) return;
    throw new ZioError("the ArrayBuffer cannot be detached", { code: "NOT_DETACHABLE" });
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

interface Settings {
  window: number;
  poison: boolean;
  mask: number;
  disable: CapabilitiesOptions["disable"];
}

function checkedSettings({ maxWindowBytes = 262144, onError = "zeros", disable }: LazyBufferOptions): Settings {
  checkedBytes("maxWindowBytes", maxWindowBytes);
  if (maxWindowBytes < pageBytes || !Number.isInteger(Math.log2(maxWindowBytes))) {
    throw new RangeError(`maxWindowBytes must be a power of two from ${pageBytes} on, not ${maxWindowBytes}`);
  }
  return {
    window: maxWindowBytes,
    poison: onError === "poison",
    mask: nativeProblem() ? 0 : disabledMask(disable),
    disable,
  };
}

function lazyRegionOfFile(range: FileRange, { window, poison, mask }: Settings): NativeLazyResult {
  const { fd, offset, available, length } = range;
  return native().lazyRegionOfFile(fd, offset, available, length, window, poison, mask);
}

function whyNot(code: number, { disable }: Settings): string {
  const found = capabilities(disable === undefined ? {} : { disable });
  return found.available ? `the kernel refused: ${getSystemErrorName(code)}` : `${found.reason}; ${found.fix}`;
}

/** The error for a runtime that did not make an ArrayBuffer of memory that is not its own. */
export function refusal(result: null | undefined): ZioError {
  return result === null
    ? new ZioError(
        "this runtime allows no ArrayBuffer over memory of an addon (V8's sandbox, as in Electron); run it under Node",
        { code: "NO_EXTERNAL_BUFFERS" },
      )
    : new ZioError("the runtime could not make the ArrayBuffer", { code: "ENOMEM" });
}
