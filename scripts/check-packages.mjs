// Packs every package, checks the tarballs with publint and are-the-types-wrong, and installs them in an empty project, where
// the native ones must compile from the sources they ship and each one must load through import and require. With --forms
// only the first.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { installReleaseTools, releaseTools } from "./install-matrix/release-tools.mjs";
import { setUpOrExit } from "./setup.mjs";

const typesChecker = "node_modules/@arethetypeswrong/cli/dist/index.js";
await setUpOrExit();
const progress = (text) => process.stderr.write(`zio: packages: ${text}\n`);
const { env, dispose } = childEnvironment();
const base = mkdtempSync(join(tmpdir(), "zio-packages-"));

function run(command, args, cwd, variables = {}) {
  const child = spawnSync(command, args, {
    cwd,
    env: { ...env, ...variables },
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.status === 0) return child.stdout;
  process.stderr.write(`${child.stdout ?? ""}${child.stderr ?? ""}`);
  throw new Error(`${[command, ...args].join(" ")} failed`);
}

/** Installs them in an empty project as if no prebuilt addon fitted, and loads each. */
function installFromSource(names, tarballs) {
  const project = join(base, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true }\n');
  const install = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--foreground-scripts"];
  run("npm", [...install, ...tarballs], project, { npm_config_build_from_source: "true" });
  for (const name of ["core", "fault-handler", "interpose", "nvm"]) {
    const built = join(project, "node_modules/@zio", name, "build/Release");
    if (!existsSync(built)) throw new Error(`@zio/${name} did not compile`);
  }
  for (const name of names) {
    run(process.execPath, ["--input-type=module", "-e", `await import(${JSON.stringify(name)})`], project);
    run(process.execPath, ["--input-type=commonjs", "-e", `require(${JSON.stringify(name)})`], project);
  }
  run(join(project, "node_modules/.bin/zio"), ["--version"], project);
  progress("they compile, install and load");
}

try {
  installReleaseTools(env);
  const names = [];
  for (const name of readdirSync(join(root, "packages"))) {
    const directory = join(root, "packages", name);
    names.push(JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name);
    run("pnpm", ["pack", "--pack-destination", base], directory);
  }
  const tarballs = readdirSync(base).map((name) => join(base, name));
  for (const tarball of tarballs) {
    run(process.execPath, [join(root, "node_modules/publint/src/cli.js"), "--strict", tarball], root);
    // Node 10 knew no exports; nothing that old runs these packages.
    run(process.execPath, [join(releaseTools, typesChecker), "--profile", "node16", "--quiet", tarball], root);
  }
  progress(`${tarballs.length} tarballs are well formed, with types for import and require`);

  if (!process.argv.includes("--forms")) installFromSource(names, tarballs);
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  dispose();
  rmSync(base, { recursive: true, force: true });
}
