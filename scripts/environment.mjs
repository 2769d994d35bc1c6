// The environment of the tools that the scripts start. Owns the one trick that lets a checkout lie in a path with colons:
// PATH cannot name such a directory, so node and pnpm are linked into a temporary one, and package binaries are found
// relative to each package's directory.
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const toolsDirectory = join(root, ".tools");

/** Call `dispose` once the children have ended. */
export function childEnvironment(extra = {}) {
  const links = mkdtempSync(join(tmpdir(), "zio-path-"));
  symlinkSync(process.execPath, join(links, "node"));
  symlinkSync(join(toolsDirectory, "node_modules/pnpm/bin/pnpm.cjs"), join(links, "pnpm"));
  const path = [links, process.env.PATH];
  if (root.includes(delimiter)) path.push("node_modules/.bin", "../node_modules/.bin", "../../node_modules/.bin");
  const env = {
    ...process.env,
    PATH: path.join(delimiter),
    TURBO_TELEMETRY_DISABLED: "1",
    DO_NOT_TRACK: "1",
    ...extra,
  };
  // Set by `npm run --silent`; pnpm would take it and keep its error messages to itself.
  delete env.npm_config_loglevel;
  // Node's own headers, where they were installed with it: node-gyp then downloads nothing.
  const nodePrefix = dirname(dirname(process.execPath));
  if (!env.npm_config_nodedir && existsSync(join(nodePrefix, "include/node/node.h")))
    env.npm_config_nodedir = nodePrefix;
  return { env, dispose: () => rmSync(links, { recursive: true, force: true }) };
}
