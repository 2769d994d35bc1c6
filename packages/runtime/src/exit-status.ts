/** The exit statuses of `zio` itself; those of a program pass through. */
export const exitStatus = {
  /** The answer is no: zIO cannot work here, there is no such process. */
  failure: 1,
  /** The command line is wrong, or a file it names cannot be used. */
  usage: 2,
  /** As a shell: found, but it cannot be run. */
  notExecutable: 126,
  /** As a shell: not found. */
  notFound: 127,
} as const;

/** Ends `zio` with one line that says why and what to do. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}
