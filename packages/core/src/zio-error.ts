export interface ZioErrorDetails {
  /** What went wrong, as a word a program can compare: an errno name, or a word of the throwing package. */
  code: string;
  /** The system call that failed, where one did. */
  syscall?: string | undefined;
  /** Its errno, positive. */
  errno?: number | undefined;
  cause?: unknown;
}

/** An expected failure of a zIO package; mistakes in calling one are TypeErrors and RangeErrors. */
export class ZioError extends Error {
  override readonly name = "ZioError";
  readonly code: string;
  readonly syscall: string | undefined;
  readonly errno: number | undefined;

  constructor(message: string, details: ZioErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.syscall = details.syscall;
    this.errno = details.errno;
  }
}
