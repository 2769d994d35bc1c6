// Where a server with an append-only file works in a sample: a new directory on a medium, with zIO a pool in it, and whether what
// it leaves behind is a file that a plain server would load.
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPool, Pool, providerPath } from "@zio/nvm";
import { BenchError } from "./bench-error.js";
import type { Contender } from "./contender.js";
import { requireProgram } from "./programs.js";

const mebibyte = 2 ** 20;
const leastPool = 16 * mebibyte;

export interface AofPlace {
  directory: string;
  /** What the server gets added to its environment. */
  variables: Record<string, string>;
}

/** The pool is made before anything is timed. The caller removes the directory. */
export async function makeAofPlace(
  contender: Contender,
  medium: "memory" | "disk",
  poolBytes: number,
): Promise<AofPlace> {
  const directory = mkdtempSync(join(medium === "memory" ? "/dev/shm" : tmpdir(), "zio-bench-aof-"));
  if (!contender.counts) return { directory, variables: {} };
  const pool = join(directory, "pool");
  await createPool(pool, { sizeBytes: Math.max(leastPool, Math.ceil(poolBytes / mebibyte) * mebibyte) });
  const variables = { ZIO_NVM: pool, ZIO_NVM_FILES: "*.aof", ZIO_NVM_PROVIDER: providerPath() };
  return { directory, variables: { ...variables, ZIO_NVM_TREE: directory } };
}

/** Throws where a plain Redis would not load the file. */
export async function checkAof({ directory }: AofPlace, contender: Contender): Promise<void> {
  if (contender.counts) await (await Pool.open(join(directory, "pool"))).close();
  const checker = requireProgram("redis-check-aof", "redis-tools");
  const manifest = join(directory, "appendonlydir/appendonly.aof.manifest");
  const { status, stdout } = spawnSync(checker, [manifest], { encoding: "utf8" });
  if (status !== 0)
    throw new BenchError("wrong-data", `${contender.name}: redis-check-aof: ${stdout.trim().split("\n").at(-1)}`);
}
