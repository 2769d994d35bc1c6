import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import nodeGypBuild from "node-gyp-build";
import type { NativeBinding } from "./native-types.js";

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The addon of this package: a prebuilt one, or the one that was built here. */
export const native = nodeGypBuild(packageRoot) as NativeBinding;
