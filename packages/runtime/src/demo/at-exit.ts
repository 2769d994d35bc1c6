// What must not outlive the demo, however it ends: programs it started and directories it made.
import { constants } from "node:os";

const cleanups = new Set<() => void>();
let installed = false;

function install(): void {
  installed = true;
  process.once("exit", () => {
    for (const cleanup of cleanups) cleanup();
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  }
}

/** Registers a clean-up; returns a function that takes it back. */
export function atExit(cleanup: () => void): () => void {
  if (!installed) install();
  cleanups.add(cleanup);
  return () => void cleanups.delete(cleanup);
}
