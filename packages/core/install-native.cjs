"use strict";
// What the install scripts of zIO's native packages do: nothing where a prebuilt addon fits or where zIO cannot work at
// all, else compile. Installing must not need a compiler on a platform where the result could not be used.
const { spawnSync } = require("node:child_process");

/** Whether `npm install --build-from-source` was asked for, for this package or for all. */
function wantsSource(packageName) {
  const wanted = process.env.npm_config_build_from_source;
  return wanted === "true" || wanted === "" || wanted === packageName;
}

function loads(packageRoot) {
  try {
    require("node-gyp-build")(packageRoot);
    return true;
  } catch {
    return false;
  }
}

/** Returns the exit status of the install script; `packageName` is the package in `packageRoot`. */
function installNative(packageName, packageRoot, problem) {
  if (problem) {
    console.error(`${packageName}: ${problem.reason}: installed without its native part`);
    return 0;
  }
  if (!wantsSource(packageName) && loads(packageRoot)) return 0;
  // The node-gyp of the package manager. Not by the PATH where that can be helped: it cannot name a path with a colon.
  const ofManager = process.env.npm_config_node_gyp;
  const [command, first] = ofManager ? [process.execPath, [ofManager]] : ["node-gyp", []];
  const { status, error } = spawnSync(command, [...first, "rebuild"], { cwd: packageRoot, stdio: "inherit" });
  if (status === 0) return 0;
  const why = error ? `node-gyp cannot be run (${error.message})` : "it does not compile here";
  console.error(`${packageName}: no prebuilt addon fits, and ${why}; it needs a C and C++ compiler, make and python3`);
  return status ?? 1;
}

module.exports = { installNative };
