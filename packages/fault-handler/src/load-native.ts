import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ZioError } from "@zio/core";
import type { NativeBinding } from "./native-types.js";

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The version of the C interface that this TypeScript was written against. */
const expectedAbiVersion = 0;

function load(): unknown {
  const nodeGypBuild = createRequire(import.meta.url)("node-gyp-build") as (packageRoot: string) => unknown;
  try {
    return nodeGypBuild(packageRoot);
  } catch (cause) {
    throw new ZioError(
      `the addon of @zio/fault-handler does not load (${process.platform} ${process.arch}, Node ${process.version}); ` +
        "zIO needs Linux on x86-64 or arm64; install with a C++ compiler, make and python3 present, " +
        `or run 'npx node-gyp rebuild' in ${packageRoot}`,
      { code: "ADDON_NOT_LOADED", cause },
    );
  }
}

/** The one cast: what was loaded is what native-types.ts says. */
function validate(loaded: unknown): NativeBinding {
  const binding = loaded as Partial<NativeBinding> | null | undefined;
  const found = typeof binding?.abiVersion === "function" ? binding.abiVersion() : "none";
  if (found !== expectedAbiVersion || typeof binding?.lazyRegionOfMemory !== "function") {
    throw new ZioError(
      `the addon of @zio/fault-handler is of another build (interface ${found}, expected ${expectedAbiVersion}); ` +
        `run 'npx node-gyp rebuild' in ${packageRoot}`,
      { code: "ADDON_NOT_LOADED" },
    );
  }
  return binding as NativeBinding;
}

/** The addon of this package: a prebuilt one, or the one that was built here. */
export const native: NativeBinding = validate(load());
