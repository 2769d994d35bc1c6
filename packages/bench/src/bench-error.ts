export type BenchErrorCode =
  | "not-built"
  | "not-active"
  | "program-failed"
  | "timeout"
  | "wrong-data"
  | "bad-option"
  | "missing-program"
  | "unknown-workload";

/** A benchmark that could not be run or whose data were wrong. */
export class BenchError extends Error {
  override readonly name = "BenchError";

  constructor(
    readonly code: BenchErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
