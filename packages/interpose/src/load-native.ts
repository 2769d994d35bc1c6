import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NativeBinding } from "./native-types.js";

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");
const nodeGypBuild = createRequire(import.meta.url)("node-gyp-build") as (packageRoot: string) => unknown;

let binding: NativeBinding | undefined;

/** The addon of this package: a prebuilt one, or the one that was built here. Loaded at the first call. */
export function native(): NativeBinding {
  binding ??= nodeGypBuild(packageRoot) as NativeBinding;
  return binding;
}
