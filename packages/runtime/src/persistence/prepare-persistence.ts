// What `zio run` does about files in a pool before it starts the program.
import { ZioError } from "@zio/core";
import { CommandError, exitStatus } from "../exit-status.js";
import type { EnvironmentBytes } from "../run/environment-bytes.js";
import type { OptionTexts } from "../run/settings.js";
import { nvmPackage } from "./nvm-package.js";
import { newTree, settlePersistence } from "./persistence-settings.js";
import { preparePool } from "./prepare-pool.js";

/**
 * Writes the variables of a pool into `environment` and prepares the pool; returns lines for the user. A program that the
 * tree itself starts joins it. Throws a CommandError where the pool cannot be used: then the program must not run, because it
 * might read files that are older than what was acknowledged.
 */
export async function preparePersistence(environment: EnvironmentBytes, options: OptionTexts): Promise<string[]> {
  const settled = settlePersistence(environment, options);
  if (settled === undefined) return [];
  try {
    if (!environment.text("ZIO_NVM_PROVIDER")) environment.set("ZIO_NVM_PROVIDER", nvmPackage().providerPath());
    if (settled.joinsTree) return [];
    environment.set("ZIO_NVM_TREE", newTree());
    return (await preparePool(settled.request)).lines;
  } catch (error) {
    if (!(error instanceof ZioError)) throw error;
    throw new CommandError(error.message, exitStatus.usage);
  }
}
