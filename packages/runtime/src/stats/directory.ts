// The directories that counter pages lie in: one of each user, which the library uses unless ZIO_STATS names another,
// and in it one for each run whose pages are to outlive their processes.
import { lstatSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const sharedMemory = "/dev/shm";

/** Where the library of a user keeps the pages of running processes. */
export function userStatsDirectory(userId: number = process.geteuid?.() ?? 0): string {
  return join(sharedMemory, `zio-${userId}`);
}

/** Whether a directory is the given user's own and nobody else can write to it; a link is not. */
export function isPrivateDirectory(path: string, userId: number = process.geteuid?.() ?? 0): boolean {
  try {
    const status = lstatSync(path);
    return status.isDirectory() && status.uid === userId && (status.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

/**
 * Makes a directory for the pages of one run; in memory where possible, since a page on a disk is written back. `owner`
 * is the process that will remove it.
 */
export function makeRunDirectory(owner: number = process.pid): string {
  const parent = userStatsDirectory();
  try {
    mkdirSync(parent, { mode: 0o700 });
  } catch {
    // It is there, or cannot be had: the check tells.
  }
  return mkdtempSync(isPrivateDirectory(parent) ? join(parent, `run-${owner}-`) : join(tmpdir(), "zio-run-"));
}

/** The owner in a directory's name, or undefined where it is no directory of a run. */
export function ownerOfRunDirectory(name: string): number | undefined {
  const owner = /^run-(\d+)-/.exec(name)?.[1];
  return owner === undefined ? undefined : Number(owner);
}
