/** What the addon of this package exports. Everything that may wait resolves to its value or to a failure, and never rejects. */
export interface NativeBinding {
  abiVersion(): number;
  coreAbiVersion(): number;
  /** The names of all kinds of problems. */
  problemTable: readonly string[];
  probe(directory: string): Answer<{ medium: Medium; flush: FlushMethod }>;
  create(path: string, bytes: number, ringBytes: number, files: number, checksumData: boolean): Answer<undefined>;
  open(path: string, acceptChanged: boolean): Answer<[NativePool, Recovery]>;
  close(pool: NativePool): Answer<undefined>;
  resize(pool: NativePool, bytes: number): Answer<undefined>;
  /** The path is absolute; the file is made where it is absent. */
  attach(pool: NativePool, path: string): Answer<NativeFile>;
  detach(file: NativeFile): void;
  /** At the end of the file, in one piece; the buffers must not change meanwhile. */
  append(pool: NativePool, file: NativeFile, buffers: Uint8Array[]): Answer<[bytes: number, offset: number]>;
  read(pool: NativePool, file: NativeFile, offset: number, into: Uint8Array): Answer<number>;
  sync(pool: NativePool): Answer<undefined>;
  digest(pool: NativePool): Answer<undefined>;
  stats(pool: NativePool): PoolStats;
  fileBytes(file: NativeFile): number;
  /** "" for the directory: nothing is salvaged. */
  inspect(path: string, directory: string): Answer<NativeReport>;
}

export type Answer<Value> = Promise<Value | NativeFailure>;

export interface NativeFailure {
  problem: NativeProblem;
}

export interface NativeProblem {
  kind: string;
  text: string;
  /** A negative errno. */
  code: number;
  /** In the pool. */
  offset: number;
  /** The system call that failed, or "". */
  action: string;
  ownerPid: number;
  path: string;
}

/** What a pool lies on: persistent memory (mapped with MAP_SYNC), a disk, or memory that a power cut empties. */
export type Medium = "dax" | "disk" | "dram";
export type FlushMethod = "clwb" | "clflushopt" | "clflush" | "msync" | "none";

/** What opening a pool found and did. */
export interface Recovery {
  /** Its last owner had closed it. */
  wasClean: boolean;
  /** The machine had not been started anew: every completed write counted, not only what was synced. */
  sameBoot: boolean;
  /** Damaged copies of the pool's own structures of which another copy was good. */
  repairedCopies: number;
  /** Writes that were in the log. */
  records: number;
  bytes: number;
  /** What came after the last sync before a power cut. */
  droppedRecords: number;
}

export interface PoolStats {
  uuid: string;
  formatVersion: number;
  checksumsData: boolean;
  medium: Medium;
  flush: FlushMethod;
  sizeBytes: number;
  dataBytes: number;
  dataFreeBytes: number;
  ringBytes: number;
  ringUsedBytes: number;
  ringOffset: number;
  dataOffset: number;
  sequence: number;
  committedSequence: number;
  appendedBytes: number;
  digestedBytes: number;
  commits: number;
  digests: number;
  /** Writes that had to wait for a digest. */
  waits: number;
  files: number;
  fileSlots: number;
}

export interface NativeReport {
  recovery: Recovery;
  stats: PoolStats;
  goodRecords: number;
  goodBytes: number;
  damage?: NativeProblem;
  files: FileReport[];
}

export interface FileReport {
  path: string;
  slot: number;
  inode: number;
  /** As last recorded. */
  sizeBytes: number;
  /** Where its good bytes were written. */
  salvaged?: string;
  /** Offset and length of what the log holds, in the order in which it was written. */
  ranges: [offset: number, length: number][];
}

declare const poolHandle: unique symbol;
export interface NativePool {
  [poolHandle]: never;
}

declare const fileHandle: unique symbol;
export interface NativeFile {
  [fileHandle]: never;
}
