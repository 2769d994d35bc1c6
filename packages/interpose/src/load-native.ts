import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadAddon } from "@zio/core";
import type { NativeBinding } from "./native-types.js";
import { abiVersion } from "./version.js";

let binding: NativeBinding | undefined;

/** The addon of this package; loaded at the first call, so that importing the package works everywhere. */
export function native(): NativeBinding {
  binding ??= loadAddon<NativeBinding>({
    packageName: "@zio/interpose",
    // The same from src/ and from dist/: both lie directly in the package.
    packageRoot: join(dirname(fileURLToPath(import.meta.url)), ".."),
    abiVersion,
    exports: ["activeAbiVersion", "replaceProcess"],
  });
  return binding;
}
