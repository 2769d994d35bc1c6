// Sets the checkout up from nothing but Node, a C/C++ compiler, make and python3; quick to repeat.
// Plain Node without dependencies, because nothing is installed yet when it runs. Progress goes to stderr.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { childEnvironment, root, toolsDirectory } from "./environment.mjs";
import { withLock } from "./lock.mjs";

const pnpmVersion = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager.split("@")[1];
const pnpmScript = join(toolsDirectory, "node_modules/pnpm/bin/pnpm.cjs");
const networkFailure =
  /ECONN|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|ENETUNREACH|ERR_SOCKET|FETCH|network|socket hang up|\b50[0234]\b/i;

class SetupError extends Error {}

function progress(text) {
  process.stderr.write(`zio: ${text}\n`);
}

/** Runs a child to its end and returns its output; shows the output and throws when it fails. */
function run(what, command, args, env, attempts = 1) {
  for (let attempt = 1; ; attempt++) {
    const child = spawnSync(command, args, {
      cwd: root,
      env,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "pipe"],
    });
    if (child.status === 0) return child.stdout;
    const output = `${child.stdout ?? ""}${child.stderr ?? ""}`;
    if (attempt < attempts && networkFailure.test(output)) {
      progress(`${what}: the network failed, trying again in ${attempt * 3} s`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, attempt * 3000);
      continue;
    }
    process.stderr.write(output);
    throw new SetupError(`${what} failed${child.error ? `: ${child.error.message}` : ""} (full output above)`);
  }
}

/** Checks what must be there and returns a string that changes when compiled code would. */
function checkToolchain() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) throw new SetupError(`Node 20 or newer is needed, this is ${process.version}`);
  if (process.platform !== "linux") throw new SetupError(`zIO runs on Linux only, this is ${process.platform}`);
  const tools = [
    ["a C compiler", [process.env.CC || "cc", "gcc"], "gcc"],
    ["a C++ compiler", [process.env.CXX || "c++", "g++"], "g++"],
    ["make", ["make"], "make"],
    ["Python 3", ["python3"], "python3"],
  ];
  const missing = [];
  const found = [process.version, process.arch];
  for (const [name, commands, debianPackage] of tools) {
    const versions = commands.map((command) => {
      const [program, ...args] = command.split(" ");
      return spawnSync(program, [...args, "--version"], { encoding: "utf8" });
    });
    const version = versions.find((child) => child.status === 0);
    if (version) found.push(version.stdout.split("\n")[0]);
    else missing.push([name, debianPackage]);
  }
  if (missing.length > 0) {
    const names = missing.map(([name]) => name).join(", ");
    const packages = missing.map(([, debianPackage]) => debianPackage).join(" ");
    throw new SetupError(`missing: ${names}. On Debian or Ubuntu: apt-get install ${packages}`);
  }
  return found.join("; ");
}

function installPnpm() {
  const manifest = join(toolsDirectory, "node_modules/pnpm/package.json");
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).version === pnpmVersion) return;
  progress(`getting pnpm ${pnpmVersion}`);
  mkdirSync(toolsDirectory, { recursive: true });
  writeFileSync(join(toolsDirectory, "package.json"), '{ "private": true }\n');
  const npmScript = process.env.npm_execpath;
  const [command, ...first] = npmScript?.endsWith("npm-cli.js") ? [process.execPath, npmScript] : ["npm"];
  // The npm that runs us tells its children about itself; the inner npm must not take that for its own options.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(config_(local_prefix|prefix|workspace)|package|lifecycle)/i.test(name),
    ),
  );
  const args = [
    "install",
    "--prefix",
    toolsDirectory,
    "--no-save",
    "--no-package-lock",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
    `pnpm@${pnpmVersion}`,
  ];
  run("getting pnpm", command, [...first, ...args], env, 3);
}

/** The hash of everything that decides what is in node_modules. */
function dependencyHash() {
  const hash = createHash("sha256").update(`${process.version} ${process.arch} ${pnpmVersion}\n`);
  const manifests = readdirSync(join(root, "packages")).map((name) => `packages/${name}/package.json`);
  for (const name of [
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "package.json",
    "test-support/package.json",
    "compatibility/package.json",
    "examples/package.json",
    ...manifests,
  ]) {
    const path = join(root, name);
    if (existsSync(path)) hash.update(`${name}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

function installDependencies(env) {
  const stamp = join(toolsDirectory, "installed");
  const wanted = dependencyHash();
  if (
    existsSync(join(root, "node_modules/.modules.yaml")) &&
    existsSync(stamp) &&
    readFileSync(stamp, "utf8") === wanted
  )
    return;
  progress("installing dependencies");
  rmSync(stamp, { force: true });
  run("installing dependencies", process.execPath, [pnpmScript, "install", "--frozen-lockfile"], env, 3);
  writeFileSync(stamp, wanted);
}

function build(env) {
  progress("building");
  const started = Date.now();
  const turbo = join(root, "node_modules/turbo/bin/turbo");
  const output = run(
    "the build",
    process.execPath,
    [turbo, "run", "build", "--output-logs=errors-only", "--no-update-notifier"],
    env,
  );
  const cached = /Cached:\s+(.*)/.exec(output)?.[1];
  progress(
    `built in ${((Date.now() - started) / 1000).toFixed(1)} s${cached ? ` (tasks from the cache: ${cached})` : ""}`,
  );
}

/** Brings the checkout up to date with its sources. Throws, with everything said on stderr, when that fails. */
export async function setUp() {
  const toolchain = checkToolchain();
  await withLock(join(toolsDirectory, "lock"), progress, () => {
    installPnpm();
    const { env, dispose } = childEnvironment({ ZIO_TOOLCHAIN: toolchain });
    try {
      installDependencies(env);
      build(env);
    } finally {
      dispose();
    }
  });
}

/** As setUp, for a script: one line and exit status 1 where it fails. */
export async function setUpOrExit() {
  try {
    await setUp();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`zio: ${error.message}\n`);
    process.exit(1);
  }
}

if (import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) await setUpOrExit();
