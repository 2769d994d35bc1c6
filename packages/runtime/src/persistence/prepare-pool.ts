// A pool before a program uses it: made where it is absent, recovered where that is due. What the program would meet as a
// failing open is one clear line here, and files are as new as the pool can make them before anybody looks at them.
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ZioError } from "@zio/core";
import { describeBytes } from "../doctor/proc.js";
import { type NvmPackage, nvmPackage } from "./nvm-package.js";

export interface PoolRequest {
  /** Absolute. */
  path: string;
  /** Of a pool that is not there yet. */
  sizeBytes: number;
  checksumData: boolean;
}

export interface PreparedPool {
  /** For the user, one line each. */
  lines: string[];
  /** Whether what is synced survives a power cut. */
  survivesPowerCut: boolean;
}

const fromBackup = "restore it from a backup, or move it away: the files are as of the last digest";
const advice: Record<string, string> = {
  IN_USE: "end it, or name another pool",
  NOT_A_POOL: "name another file, or one that is not there yet",
  FOREIGN_VERSION: "use the @zio/nvm that made it",
  TRUNCATED: fromBackup,
  HEADER_DAMAGED: fromBackup,
  SUPERBLOCK_DAMAGED: fromBackup,
  SUPERBLOCK_STALE: fromBackup,
  FILE_SLOT_DAMAGED: fromBackup,
  ENOSPC: "ask for less by --nvm-size, or choose another place",
  EACCES: "choose a place that this user can write",
  EROFS: "choose a place that this user can write",
};

/** Why a pool cannot be used, and what to do, as an error of one line. */
function refusal(path: string, error: unknown): ZioError {
  const { code, message: full } = error as { code?: string; message: string };
  const message = full.startsWith(`${path}: `) ? full.slice(path.length + 2) : full;
  const what = advice[code ?? ""] && !message.includes("; ") ? `; ${advice[code ?? ""]}` : "";
  return new ZioError(`cannot use the pool ${path}: ${message}${what}`, { code: code ?? "POOL", cause: error });
}

async function makePool({ createPool }: NvmPackage, { path, sizeBytes, checksumData }: PoolRequest): Promise<string> {
  const directory = dirname(path);
  if (!existsSync(directory) || !statSync(directory).isDirectory())
    throw new ZioError(`there is no directory ${directory}; make it first`, { code: "ENOENT" });
  await createPool(path, { sizeBytes, checksumData });
  return `made the pool ${path}, ${describeBytes(sizeBytes)}${checksumData ? " with checksums of the data" : ""}`;
}

/** So long whoever was killed may take to be gone, children among them. */
const patienceMs = 3000;

async function openWhenFree({ Pool }: NvmPackage, path: string) {
  for (const deadline = Date.now() + patienceMs; ; await sleep(50)) {
    try {
      return await Pool.open(path);
    } catch (error) {
      if ((error as { code?: string }).code !== "IN_USE" || Date.now() > deadline) throw error;
    }
  }
}

/** Throws a ZioError where the pool is in use, damaged, or its files were changed; nothing is applied then. */
export async function preparePool(request: PoolRequest): Promise<PreparedPool> {
  const nvm = nvmPackage();
  const { path } = request;
  const lines: string[] = [];
  try {
    if (!existsSync(path)) lines.push(await makePool(nvm, request));
    const pool = await openWhenFree(nvm, path);
    const { recovery } = pool;
    const { medium } = pool.stats();
    await pool.close();
    if (!recovery.wasClean && recovery.records > 0)
      lines.push(`recovered ${path}: ${recovery.records} writes, ${recovery.bytes} bytes, are in their files now`);
    if (medium === "dram")
      lines.push(`the pool ${path} is in DRAM: IT DOES NOT SURVIVE A POWER CUT OR A RESTART OF THE MACHINE`);
    return { lines, survivesPowerCut: medium !== "dram" };
  } catch (error) {
    throw refusal(path, error);
  }
}
