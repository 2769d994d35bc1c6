import type { Options } from "tsup";

/** What every package is built with: ESM, CJS and declarations for Node 20 and newer. */
export function packageOptions(entry: string[], overrides: Options = {}): Options {
  return {
    entry,
    format: ["esm", "cjs"],
    dts: true,
    target: "node20",
    platform: "node",
    shims: true,
    sourcemap: true,
    silent: true,
    // Tests of other packages may be reading dist at this moment; releases are built from a fresh clone.
    clean: false,
    ...overrides,
  };
}
