// @zio/nvm as this package uses it. It is no dependency: who keeps no files in a pool does without.
import { createRequire } from "node:module";
import { ZioError } from "@zio/core";
import { installedEntry } from "../installed-package.js";

export type Medium = "dax" | "disk" | "dram";

interface OpenPool {
  recovery: { wasClean: boolean; records: number; bytes: number };
  stats(): { sizeBytes: number; medium: Medium; checksumsData: boolean };
  close(): Promise<void>;
}

export interface NvmPackage {
  providerPath(): string;
  createPool(path: string, options: { sizeBytes: number; checksumData: boolean }): Promise<void>;
  Pool: { open(path: string): Promise<OpenPool> };
}

export const howToInstall = "npm install @zio/nvm";

/** The package, or undefined where it is not installed. */
export function findNvmPackage(): NvmPackage | undefined {
  const entry = installedEntry("@zio/nvm", "require");
  return entry === undefined ? undefined : (createRequire(entry)(entry) as NvmPackage);
}

/** Throws a ZioError that says what to install. */
export function nvmPackage(): NvmPackage {
  const found = findNvmPackage();
  if (typeof found?.providerPath === "function") return found;
  if (found)
    throw new ZioError(`this @zio/nvm is too old for this zio; ${howToInstall}@latest`, { code: "ABI_MISMATCH" });
  throw new ZioError(`pools come with @zio/nvm, which is not installed: ${howToInstall}`, { code: "NOT_INSTALLED" });
}
