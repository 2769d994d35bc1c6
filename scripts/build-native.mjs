// Builds the native targets of the package in the current directory, incrementally, in build/Release, and copies what is
// shipped into prebuilds: what the tests of a checkout run is what a release contains, byte for byte.
// Configures each time, because binding.gyp globs its sources; objects are rebuilt only where something changed.
// `--arch arm64` compiles for another architecture, with the compilers that CC, CXX and AR name.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeGlibcStubs } from "./glibc/stubs.mjs";
import { copyPrebuilds } from "./prebuilds.mjs";

const require = createRequire(import.meta.url);
const nodeGyp = join(dirname(require.resolve("node-gyp/package.json")), "bin/node-gyp.js");
const stubSources = fileURLToPath(new URL("glibc", import.meta.url));
const { arch } = parseArgs({ options: { arch: { type: "string", default: process.arch } } }).values;

const env = { ...process.env };
// Node's own headers, where they were installed with it: nothing to download.
const nodePrefix = dirname(dirname(process.execPath));
if (!env.npm_config_nodedir && existsSync(join(nodePrefix, "include/node/node.h"))) {
  env.npm_config_nodedir = nodePrefix;
}

function run(args, variables = {}) {
  const words = [nodeGyp, ...args, `--arch=${arch}`, "--loglevel=warn"];
  const { status } = spawnSync(process.execPath, words, { stdio: "inherit", env: { ...env, ...variables } });
  return status === 0;
}

/** What makes a link go by an older glibc; undefined where this machine's C library or tools are not up to that. */
function olderGlibc() {
  try {
    const hash = createHash("sha256");
    for (const file of readdirSync(stubSources).sort()) hash.update(readFileSync(join(stubSources, file)));
    // Named by what makes them: make links again where the command of a link changes.
    const name = `glibc-${hash.digest("hex").slice(0, 12)}`;
    makeGlibcStubs(join("build", name), (env.CC || "cc").split(" "));
    // Relative to where make runs: a flag cannot name a path with spaces.
    return { LDFLAGS: `-L${name} ${env.LDFLAGS ?? ""}` };
  } catch (error) {
    process.stderr.write(`zio: no stubs of an older glibc: ${error.message.split("\n")[0]}\n`);
    return undefined;
  }
}

if (!run(["configure"])) process.exit(1);
const portable = olderGlibc();
if (!portable || !run(["build", "-j", "2"], portable)) {
  // A glibc whose headers use what is younger than the stubs, or a linker of another kind: good for this machine then.
  if (portable) process.stderr.write("zio: linking for the glibc of this machine alone\n");
  if (!run(["build", "-j", "2"])) process.exit(1);
}
copyPrebuilds(".", `linux-${arch}`);
