import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  checkNeighbour,
  abiVersion as coreAbiVersion,
  packageVersion as coreVersion,
  loadAddon,
  type PlatformProblem,
  platformProblem,
  ZioError,
} from "@zio/core";
import type { NativeBinding } from "./native-types.js";
import { abiVersion } from "./version.js";

const packageName = "@zio/nvm";
let binding: NativeBinding | undefined;

/** The addon of this package; loaded at the first call, so that importing the package works everywhere. */
export function native(): NativeBinding {
  if (binding) return binding;
  const loaded = loadAddon<NativeBinding>({
    packageName,
    // The same from src/ and from dist/: both lie directly in the package.
    packageRoot: join(dirname(fileURLToPath(import.meta.url)), ".."),
    abiVersion,
    exports: ["inspect"],
  });
  const core = { name: "@zio/core", version: coreVersion, abiVersion: coreAbiVersion };
  checkNeighbour(packageName, loaded.coreAbiVersion(), core);
  binding = loaded;
  return binding;
}

/** Why there is no addon here, or undefined where there is. One of another version is an error. */
export function nativeProblem(): PlatformProblem | undefined {
  try {
    native();
    return undefined;
  } catch (error) {
    if (!(error instanceof ZioError) || error.code === "ABI_MISMATCH") throw error;
    const reason = `the addon of ${packageName} does not load`;
    return (
      platformProblem() ?? { reason, fix: `npm rebuild ${packageName}, with a C and C++ compiler, make and python3` }
    );
  }
}
