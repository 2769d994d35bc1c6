// Packs every package, checks the tarballs with publint, and installs them in an empty project, where each one must load
// through import and require and the native ones must build from the sources they ship.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

await setUpOrExit();
const progress = (text) => process.stderr.write(`zio: packages: ${text}\n`);
const { env, dispose } = childEnvironment();
const base = mkdtempSync(join(tmpdir(), "zio-packages-"));

function run(command, args, cwd) {
  const child = spawnSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (child.status === 0) return child.stdout;
  process.stderr.write(`${child.stdout ?? ""}${child.stderr ?? ""}`);
  throw new Error(`${[command, ...args].join(" ")} failed`);
}

try {
  const names = [];
  for (const name of readdirSync(join(root, "packages"))) {
    const directory = join(root, "packages", name);
    names.push(JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name);
    run("pnpm", ["pack", "--pack-destination", base], directory);
  }
  const tarballs = readdirSync(base).map((name) => join(base, name));
  for (const tarball of tarballs) {
    run(process.execPath, [join(root, "node_modules/publint/src/cli.js"), "--strict", tarball], root);
  }
  progress(`${tarballs.length} tarballs are well formed`);

  const project = join(base, "project");
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true }\n');
  run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", "--foreground-scripts", ...tarballs], project);
  for (const name of names) {
    run(process.execPath, ["--input-type=module", "-e", `await import(${JSON.stringify(name)})`], project);
    run(process.execPath, ["--input-type=commonjs", "-e", `require(${JSON.stringify(name)})`], project);
  }
  run(join(project, "node_modules/.bin/zio"), ["--version"], project);
  progress("they install and load");
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  dispose();
  rmSync(base, { recursive: true, force: true });
}
