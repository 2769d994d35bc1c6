/** What the addon of this package exports. */
export interface NativeBinding {
  abiVersion(): number;
  IntervalTree: new () => NativeIntervalTree;
}

/** A row is five words of a BigUint64Array: start, length, handle, offset and tag of a view. */
export const rowWords = 5;

/**
 * A view tree of its own, for the thread that made it. Wrong arguments throw TypeError or RangeError; after dispose
 * every other method throws.
 */
export interface NativeIntervalTree {
  /** 0 or a negative errno. */
  insert(start: bigint, length: bigint, handle: bigint, offset: bigint, tag: bigint): number;
  /** 0 or a negative errno. */
  carve(start: bigint, length: bigint): number;
  /** Whether there is a view that ends after the address; it becomes the first row. */
  next(address: bigint, rows: BigUint64Array): boolean;
  /**
   * Fills the rows from the second on with the pieces of views in the range, as many as fit, and the first word of the
   * first row with the length of the part of the range that they describe. Returns the number of pieces.
   */
  translate(start: bigint, length: bigint, rows: BigUint64Array): number;
  /** 0, or the line of the violated invariant. */
  check(): number;
  size(): number;
  dispose(): void;
}
