// Where the compiled files of this package lie: in build/Release where they were compiled here, else among the prebuilt
// ones.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The directories that may hold compiled files, the preferred first. */
export const builtDirectories: readonly string[] = [
  join(packageRoot, "build/Release"),
  join(packageRoot, "prebuilds", `${process.platform}-${process.arch}`),
];

/** The path of a compiled file, or undefined where it was not built. */
export function builtFile(name: string): string | undefined {
  return builtDirectories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}
