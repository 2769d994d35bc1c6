// The settings of a pool for a program that Node starts. The pool is prepared by another Node while this one waits: opening a
// pool takes an event loop, and `spawn` gives its result at once.
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { ZioError } from "@zio/core";
import type { Settings } from "@zio/interpose";
import { fileOfThisPackage } from "../installed-package.js";
import { nvmPackage } from "./nvm-package.js";
import { absolutePattern, newTree } from "./persistence-settings.js";
import type { PoolRequest, PreparedPool } from "./prepare-pool.js";

/** What the child answers. */
export type PoolAnswer = { prepared: PreparedPool } | { refused: { message: string; code: string } };

const defaultBytes = 1024 ** 3;

/** Settings with absolute paths and the provider's; those without a pool as they are. Throws a ZioError. */
export function completePersistence(settings: Settings, directory: string = process.cwd()): Settings {
  if (settings.nvmPath === undefined) return settings;
  if (!settings.nvmFiles?.length)
    throw new ZioError("nvmPath is for no file; say which by nvmFiles", { code: "EINVAL" });
  return {
    ...settings,
    nvmPath: resolve(directory, settings.nvmPath),
    nvmFiles: settings.nvmFiles.map((pattern) => absolutePattern(pattern, directory)),
    nvmProviderPath: settings.nvmProviderPath ?? nvmPackage().providerPath(),
  };
}

function prepareInChild(request: PoolRequest): PreparedPool {
  const words = [fileOfThisPackage("dist/launch.js"), "pool", JSON.stringify(request)];
  // Not under zIO itself, whose pool this may be.
  const env = { ...process.env, LD_PRELOAD: "", NODE_OPTIONS: "" };
  const { stdout, stderr, error } = spawnSync(process.execPath, words, { env, encoding: "utf8" });
  if (error || !stdout) {
    const details = { code: "POOL", syscall: "spawn", cause: error };
    throw new ZioError(`cannot prepare the pool ${request.path}: ${error?.message ?? stderr}`, details);
  }
  const answer = JSON.parse(stdout) as PoolAnswer;
  if ("prepared" in answer) return answer.prepared;
  throw new ZioError(answer.refused.message, { code: answer.refused.code });
}

/** Completes the settings and prepares their pool. Warns where it does not survive a power cut. Throws a ZioError. */
export function persistenceForChild(settings: Settings, environment: NodeJS.ProcessEnv, directory: string): Settings {
  const complete = completePersistence(settings, directory);
  const { nvmPath: path } = complete;
  if (path === undefined) return complete;
  // A program of the tree that has the pool open already.
  if (environment.ZIO_NVM === path && environment.ZIO_NVM_TREE) return complete;
  const sizeBytes = complete.nvmSizeBytes ?? defaultBytes;
  const { lines, survivesPowerCut } = prepareInChild({ path, sizeBytes, checksumData: complete.nvmChecksum ?? false });
  if (!survivesPowerCut) process.emitWarning(lines.at(-1) ?? "", "ZioWarning");
  return { ...complete, nvmTree: complete.nvmTree ?? newTree() };
}
