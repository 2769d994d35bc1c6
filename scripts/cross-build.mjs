// Compiles the native packages for another architecture into their prebuilds, in a copy of the checkout, with a cross
// compiler: `node scripts/cross-build.mjs arm64` (Debian: apt-get install g++-aarch64-linux-gnu).
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

const prefixes = { arm64: "aarch64-linux-gnu-", x64: "x86_64-linux-gnu-" };
/** In the order of their dependencies. */
const packages = ["core", "fault-handler", "interpose", "nvm"];

const progress = (text) => process.stderr.write(`zio: cross build: ${text}\n`);
const [arch] = process.argv.slice(2);
const prefix = prefixes[arch];
if (prefix === undefined) {
  progress(`for which architecture? ${Object.keys(prefixes).join(" or ")}`);
  process.exit(2);
}
if (spawnSync(`${prefix}g++`, ["--version"]).status !== 0) {
  progress(`there is no ${prefix}g++; on Debian: apt-get install g++-${prefix.slice(0, -1).replace("_", "-")}`);
  process.exit(1);
}
await setUpOrExit();

const copy = mkdtempSync(join(tmpdir(), "zio-cross-"));
const { env, dispose } = childEnvironment({
  CC: `${prefix}gcc`,
  CXX: `${prefix}g++`,
  AR: `${prefix}ar`,
});
try {
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  for (const name of packages) {
    const filter = (source) => !/\/(build|dist|prebuilds|test)$/.test(source);
    cpSync(join(root, "packages", name), join(copy, "packages", name), {
      recursive: true,
      verbatimSymlinks: true,
      filter,
    });
  }
  for (const name of packages) {
    progress(name);
    const directory = join(copy, "packages", name);
    const script = join(root, "scripts/build-native.mjs");
    const child = spawnSync(process.execPath, [script, "--arch", arch], { cwd: directory, env, encoding: "utf8" });
    if (child.status !== 0) {
      process.stderr.write(`${child.stdout}${child.stderr}`);
      throw new Error(`${name} does not compile for ${arch}`);
    }
    const platform = `prebuilds/linux-${arch}`;
    rmSync(join(root, "packages", name, platform), { recursive: true, force: true });
    cpSync(join(directory, platform), join(root, "packages", name, platform), { recursive: true });
  }
  const check = spawnSync(process.execPath, [join(root, "scripts/check-prebuilds.mjs"), arch], { stdio: "inherit" });
  if (check.status !== 0) throw new Error("what was compiled does not run everywhere (above)");
  progress(`prebuilds/linux-${arch} of ${packages.length} packages`);
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  dispose();
  rmSync(copy, { recursive: true, force: true });
}
