import { tmpdir } from "node:os";
import { native, nativeProblem } from "./load-native.js";
import type { FlushMethod, Medium } from "./native-types.js";
import { PoolError, unwrap } from "./pool-error.js";

export interface PlaceForPools {
  available: true;
  directory: string;
  medium: Medium;
  flush: FlushMethod;
  /** Whether what was synced survives a power cut there. */
  survivesPowerCut: boolean;
}

export interface NoPlaceForPools {
  available: false;
  directory: string;
  reason: string;
  fix: string;
}

/** Tries out what a directory, the one for temporary files unless told, would make of a pool. */
export async function capabilities(directory: string = tmpdir()): Promise<PlaceForPools | NoPlaceForPools> {
  const problem = nativeProblem();
  if (problem) return { available: false, directory, ...problem };
  try {
    const { medium, flush } = await unwrap(native().probe(directory));
    return { available: true, directory, medium, flush, survivesPowerCut: medium !== "dram" };
  } catch (error) {
    if (!(error instanceof PoolError)) throw error;
    return { available: false, directory, reason: error.message, fix: "choose a directory on ext4, XFS or tmpfs" };
  }
}
