// Lines of ours, on standard error. Written synchronously and not through a stream: a stream would make the descriptor,
// which the program shares, non-blocking.
import { writeSync } from "node:fs";
import { isatty } from "node:tty";

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
export type Style = keyof typeof styles;

/** Whether text for the descriptor may have colour: a terminal, and the user has not said otherwise (no-color.org). */
export function hasColour(descriptor: number, environment: NodeJS.ProcessEnv = process.env): boolean {
  return isatty(descriptor) && !environment.NO_COLOR && environment.TERM !== "dumb";
}

/** `text` in a style where `colour` is wanted. */
export function paint(colour: boolean, style: Style, text: string): string {
  return colour ? `\x1b[${styles[style]}m${text}\x1b[0m` : text;
}

function writeAll(descriptor: number, text: string): boolean {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another program made the descriptor non-blocking: wait for its reader.
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else return false; // nobody reads it, or it is closed
    }
  }
  return true;
}

/** One line for the user, as "zio: text". */
export function say(text: string): void {
  writeAll(2, `zio: ${text.replaceAll("\n", " ")}\n`);
}

/** Text of an answer, to standard output; false where nobody takes it. */
export function answer(text: string): boolean {
  return writeAll(1, text.endsWith("\n") ? text : `${text}\n`);
}

/** Text that accompanies an answer, such as progress, to standard error. */
export function accompany(text: string): void {
  writeAll(2, text);
}
