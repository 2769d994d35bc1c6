// Builds the native targets of the package in the current directory, incrementally, in build/Release.
// Configures each time, because binding.gyp globs its sources; objects are rebuilt only where something changed.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const nodeGyp = join(dirname(require.resolve("node-gyp/package.json")), "bin/node-gyp.js");

const env = { ...process.env };
// Node's own headers, where they were installed with it: nothing to download.
const nodePrefix = dirname(dirname(process.execPath));
if (!env.npm_config_nodedir && existsSync(join(nodePrefix, "include/node/node.h"))) {
  env.npm_config_nodedir = nodePrefix;
}

for (const args of [["configure"], ["build", "-j", "2"]]) {
  const { status } = spawnSync(process.execPath, [nodeGyp, ...args, "--loglevel=warn"], { stdio: "inherit", env });
  if (status !== 0) process.exit(status ?? 1);
}
