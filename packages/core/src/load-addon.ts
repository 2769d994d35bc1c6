import { createRequire } from "node:module";
import { platformProblem } from "./platform.js";
import { ZioError } from "./zio-error.js";

/** What an addon of zIO is expected to be. */
export interface AddonDescription<Binding> {
  packageName: string;
  /** The directory of its package. */
  packageRoot: string;
  /** The version of the C interface that the package's TypeScript was written against. */
  abiVersion: number;
  /** What it must export besides. */
  exports: readonly (keyof Binding & string)[];
}

function mendBy(packageName: string): string {
  return `npm install ${packageName}@latest (or npm rebuild ${packageName}, where it was compiled here)`;
}

function load(packageName: string, packageRoot: string): unknown {
  const nodeGypBuild = createRequire(import.meta.url)("node-gyp-build") as (packageRoot: string) => unknown;
  const problem = platformProblem();
  if (problem) throw new ZioError(`${problem.reason}; ${problem.fix}`, { code: "UNSUPPORTED_PLATFORM" });
  try {
    return nodeGypBuild(packageRoot);
  } catch (cause) {
    throw new ZioError(
      `the addon of ${packageName} does not load (${process.platform} ${process.arch}, Node ${process.version}); ` +
        `with a C and C++ compiler, make and python3 present: npm rebuild ${packageName}`,
      { code: "ADDON_NOT_LOADED", cause },
    );
  }
}

/**
 * Loads the addon of one of zIO's packages: what was compiled in the package, or a prebuilt one. Throws a ZioError with code
 * UNSUPPORTED_PLATFORM, ADDON_NOT_LOADED, or ABI_MISMATCH where it is of another version than the package.
 */
export function loadAddon<Binding extends { abiVersion(): number }>(description: AddonDescription<Binding>): Binding {
  const { packageName, packageRoot, abiVersion, exports } = description;
  const binding = load(packageName, packageRoot) as Partial<Binding> | null | undefined;
  const found = typeof binding?.abiVersion === "function" ? binding.abiVersion() : "none";
  if (found !== abiVersion || exports.some((name) => binding?.[name] === undefined)) {
    throw new ZioError(
      `the addon of ${packageName} is of another build (interface ${found}, expected ${abiVersion}); ${mendBy(packageName)}`,
      { code: "ABI_MISMATCH" },
    );
  }
  return binding as Binding;
}

/** Throws a ZioError with code ABI_MISMATCH where a package was compiled with another interface than its neighbour has. */
export function checkNeighbour(
  user: string,
  usedAbiVersion: number,
  neighbour: { name: string; version: string; abiVersion: number },
): void {
  if (usedAbiVersion === neighbour.abiVersion) return;
  throw new ZioError(
    `${user} was compiled with interface ${usedAbiVersion} of ${neighbour.name}, but ${neighbour.name} ` +
      `${neighbour.version} has interface ${neighbour.abiVersion}; install versions that fit: ` +
      `npm install ${user}@latest ${neighbour.name}@latest`,
    { code: "ABI_MISMATCH" },
  );
}
