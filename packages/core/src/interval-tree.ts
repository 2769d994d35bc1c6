import { type DataPlaneErrorCode, dataPlaneErrors } from "./error-codes.js";
import { native } from "./load-native.js";
import { type NativeIntervalTree, rowWords } from "./native-types.js";
import { ZioError } from "./zio-error.js";

/** A range of addresses that shows the bytes of an origin from `offset` on. */
export interface View {
  readonly kind: "view";
  readonly start: bigint;
  /** In bytes, never 0. */
  readonly length: bigint;
  /** Names the origin; what it means is up to you. 0n: the view reads as zeros, and its offset is 0n. */
  readonly handle: bigint;
  /** Where in the origin the view begins, in bytes. */
  readonly offset: bigint;
  /** A number of yours, 0 to 65535. */
  readonly tag: number;
}

/** A range of addresses without a view. */
export interface Hole {
  readonly kind: "hole";
  readonly start: bigint;
  readonly length: bigint;
}

/** A piece of a translated range. */
export type Segment = View | Hole;

/** How many views cross from the addon at once. */
const rowsAtOnce = 32;

/**
 * Disjoint ranges of 64-bit addresses, each showing a part of an origin: the structure in which zIO keeps what memory
 * stands for. Inserting cuts whatever it covers; pieces that continue each other are one view.
 *
 * A tree belongs to the thread that made it. Its memory lies outside the JavaScript heap: `using` or `dispose` gives it
 * back at once, otherwise the garbage collector does.
 */
export class IntervalTree implements Iterable<View>, Disposable {
  readonly #tree: NativeIntervalTree = new (native().IntervalTree)();
  readonly #row = new BigUint64Array(rowWords);

  /** The number of views. */
  get size(): number {
    return this.#tree.size();
  }

  /**
   * Makes [start, start + length) show the origin `handle` from `offset` on; views there are cut.
   * @throws {RangeError} for a length of 0n, a range beyond 2n ** 64n - 1n, an offset beyond 2n ** 48n - length, or a
   * tag beyond 65535
   * @throws {ZioError} with code ENOMEM; then nothing has changed
   */
  insert(start: bigint, length: bigint, handle: bigint, offset: bigint = 0n, tag: number = 0): void {
    if (!Number.isInteger(tag) || tag < 0 || tag > 0xffff) {
      throw new RangeError(`tag must be a whole number from 0 to 65535, not ${String(tag)}`);
    }
    complete(this.#tree.insert(start, length, handle, offset, BigInt(tag)), start, length, offset);
  }

  /**
   * Removes what [start, start + length) shows; views that reach out of it are cut.
   * @throws {RangeError} for a length of 0n or a range beyond 2n ** 64n - 1n
   * @throws {ZioError} with code ENOMEM; then nothing has changed
   */
  carve(start: bigint, length: bigint): void {
    complete(this.#tree.carve(start, length), start, length);
  }

  /** The view that holds the address. */
  stab(address: bigint): View | undefined {
    const view = this.#next(address);
    return view !== undefined && view.start <= address ? view : undefined;
  }

  /** What [start, start + length) shows, from its start to its end: views, cut to the range, and the holes between. */
  translate(start: bigint, length: bigint): Segment[] {
    const rows = new BigUint64Array((1 + rowsAtOnce) * rowWords);
    const segments: Segment[] = [];
    const end = start + length;
    let at = start;
    do {
      const count = this.#tree.translate(at, end - at, rows);
      const described = at + rows[0]!;
      for (let i = 1; i <= count; i++) {
        const view = viewOfRow(rows, i);
        if (view.start > at) segments.push({ kind: "hole", start: at, length: view.start - at });
        segments.push(view);
        at = view.start + view.length;
      }
      if (described > at) segments.push({ kind: "hole", start: at, length: described - at });
      at = described;
    } while (at < end);
    return segments;
  }

  /**
   * The views that overlap [start, start + length), whole, in order of address. The tree may change meanwhile: the
   * iteration goes on behind the view it gave last.
   */
  *entries(start: bigint = 0n, length: bigint = (1n << 64n) - 1n - start): IterableIterator<View> {
    const end = start + length;
    for (let view = this.#next(start); view !== undefined && view.start < end; ) {
      yield view;
      view = this.#next(view.start + view.length);
    }
  }

  /** All views, in order of address. */
  [Symbol.iterator](): IterableIterator<View> {
    return this.entries();
  }

  /** Gives the memory back. Every later use but another dispose throws a TypeError. */
  dispose(): void {
    this.#tree.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #next(address: bigint): View | undefined {
    return this.#tree.next(address, this.#row) ? viewOfRow(this.#row, 0) : undefined;
  }
}

function viewOfRow(rows: BigUint64Array, row: number): View {
  const at = row * rowWords;
  return {
    kind: "view",
    start: rows[at]!,
    length: rows[at + 1]!,
    handle: rows[at + 2]!,
    offset: rows[at + 3]!,
    tag: Number(rows[at + 4]!),
  };
}

/** Turns the code of a change into the error that it means. */
function complete(result: number, start: bigint, length: bigint, offset = 0n): void {
  if (result === 0) return;
  if (-result === dataPlaneErrors.EINVAL.errno) {
    throw new RangeError(
      length === 0n
        ? "length must be at least 1n"
        : start + length >= 1n << 64n
          ? `the range of ${length} bytes at ${start} reaches beyond 2n ** 64n - 1n`
          : `the range of ${length} bytes at offset ${offset} reaches beyond 2n ** 48n`,
    );
  }
  const codes = Object.keys(dataPlaneErrors) as DataPlaneErrorCode[];
  const code = codes.find((name) => dataPlaneErrors[name].errno === -result);
  const message = code === undefined ? `unknown error ${result}` : dataPlaneErrors[code].message;
  throw new ZioError(message, { code: code ?? "UNKNOWN", errno: -result });
}
