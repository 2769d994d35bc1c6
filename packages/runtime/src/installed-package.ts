// Packages that this one works with where they are installed, and does without where they are not: beside this one, in the
// project of the current directory, or in the same checkout.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

/** A file of this package, named from its root. */
export function fileOfThisPackage(name: string): string {
  return join(packageRoot, name);
}

/** The package.json of an installed package, or undefined. */
function findManifest(name: string): string | undefined {
  for (const from of [join(packageRoot, "package.json"), join(process.cwd(), "package.json")]) {
    try {
      return createRequire(from).resolve(`${name}/package.json`);
    } catch {
      // Not installed there.
    }
  }
  const beside = join(packageRoot, "..", name.replace(/^@zio\//, ""), "package.json");
  return existsSync(beside) && JSON.parse(readFileSync(beside, "utf8")).name === name ? beside : undefined;
}

/** The entry of an installed package for `import` or `require`; undefined where it is not there, or not built. */
export function installedEntry(name: string, kind: "import" | "require"): string | undefined {
  const manifest = findManifest(name);
  if (manifest === undefined) return undefined;
  const file = join(dirname(manifest), JSON.parse(readFileSync(manifest, "utf8")).exports["."][kind].default);
  return existsSync(file) ? file : undefined;
}
