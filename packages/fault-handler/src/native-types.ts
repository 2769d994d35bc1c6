/** What the addon of this package exports. Numbers below 0 are negative errnos. */
export interface NativeBinding {
  abiVersion(): number;
  coreAbiVersion(): number;
  /** Name, bit and what is lost without it, of every kernel feature that can be masked. */
  featureTable: readonly [name: string, bit: number, lost: string][];
  /** The mask that a list like "move,device" names, or -1 minus the offset of a word that it does not know. */
  parseFeatures(list: string): number;
  /** Opens a userfaultfd and closes it again. */
  capabilities(disabled: number): NativeCapabilities;
  /** With `borrow` the bytes must stay as they are for as long as the region lives; they are kept alive. */
  lazyRegionOfMemory(
    bytes: Uint8Array,
    borrow: boolean,
    maxWindowBytes: number,
    poison: boolean,
    disabled: number,
  ): NativeLazyResult;
  /** The first `available` of the `length` bytes come from the file; the descriptor may be closed afterwards. */
  lazyRegionOfFile(
    fd: number,
    offset: number,
    available: number,
    length: number,
    maxWindowBytes: number,
    poison: boolean,
    disabled: number,
  ): NativeLazyResult;
  /** Faults, filled bytes, errors, then offset and length of the first errors. */
  lazyRegionStats(handle: NativeLazyHandle): number[];
  /** False where the ArrayBuffer cannot be detached; else its memory is gone. */
  lazyRegionDispose(handle: NativeLazyHandle, buffer: ArrayBuffer): boolean;
}

export interface NativeCapabilities {
  /** 0, or why it could not be opened. */
  code: number;
  /** "reason; fix", where it could not. */
  text: string;
  deviceError: number;
  syscallError: number;
  apiError: number;
  userModeOnly: boolean;
  viaDevice: boolean;
  move: boolean;
  poison: boolean;
  threadId: boolean;
  procmapQuery: boolean;
}

declare const lazyHandle: unique symbol;
export interface NativeLazyHandle {
  [lazyHandle]: never;
}

/** null: this runtime allows no external ArrayBuffers. undefined: it refused this one. */
export type NativeLazyResult = [handle: NativeLazyHandle, buffer: ArrayBuffer] | number | null | undefined;
