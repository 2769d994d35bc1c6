import type { DataPlaneErrorCode } from "./error-codes.js";

/** What went wrong, as a word a program can compare: an errno name, or a word of the throwing package. */
export type ZioErrorCode = DataPlaneErrorCode | (string & {});

export interface ZioErrorDetails {
  code: ZioErrorCode;
  /** The system call that failed, where one did. */
  syscall?: string | undefined;
  /** Its errno, positive. */
  errno?: number | undefined;
  cause?: unknown;
}

/** An expected failure of a zIO package; mistakes in calling one are TypeErrors and RangeErrors. */
export class ZioError extends Error {
  override readonly name = "ZioError";
  readonly code: ZioErrorCode;
  readonly syscall: string | undefined;
  readonly errno: number | undefined;

  constructor(message: string, details: ZioErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.syscall = details.syscall;
    this.errno = details.errno;
  }
}
