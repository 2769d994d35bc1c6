import { readFileSync } from "node:fs";
import { capabilities } from "./capabilities.js";

function readStatus(): string {
  try {
    return readFileSync("/proc/self/status", "latin1");
  } catch {
    return "";
  }
}

/**
 * How many seccomp filters this process, and what it starts, runs under; undefined where there are some and the kernel
 * does not tell how many (Linux before 5.9). `status` is the text of /proc/self/status.
 */
export function seccompFilters(status: string = readStatus()): number | undefined {
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\d+)$`, "m").exec(status)?.[1];
  const mode = field("Seccomp");
  if (mode === undefined || mode === "0") return 0;
  const count = Number(field("Seccomp_filters") ?? Number.NaN);
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

/**
 * The number of this process's filters where all that zIO needs was tried out under them just now and is allowed;
 * undefined where there is no filter, or zIO cannot work. The library cannot find out by itself: a filter may kill for the
 * attempt. A Node process can, because it has started threads and may start children.
 */
export function allowedSeccompFilters(): number | undefined {
  const filters = seccompFilters();
  return filters && capabilities().available ? filters : undefined;
}
