// Where compiled files lie in a package that is shipped: prebuilds/PLATFORM-ARCH, addons under the names that
// node-gyp-build goes by.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { extname, join } from "node:path";

/** The name under which a file of build/Release is shipped; undefined for what is not. */
export function prebuildName(name, packageName) {
  if (extname(name) === ".node") return `${packageName.replace("/", "+")}.glibc.node`;
  return extname(name) === ".so" || /^zio-[a-z-]+$/.test(name) ? name : undefined;
}

/** Replaces the prebuilds of a platform by what was compiled in build/Release. */
export function copyPrebuilds(packageDirectory, platform) {
  const manifest = JSON.parse(readFileSync(join(packageDirectory, "package.json"), "utf8"));
  const executable = new Set(manifest.publishConfig?.executableFiles);
  const built = join(packageDirectory, "build/Release");
  const destination = join(packageDirectory, "prebuilds", platform);
  const scratch = `${destination}.${process.pid}`;
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  for (const entry of readdirSync(built, { withFileTypes: true })) {
    const name = entry.isFile() ? prebuildName(entry.name, manifest.name) : undefined;
    const path = `./prebuilds/${platform}/${name}`;
    if (name?.startsWith("zio-") && !executable.has(path))
      throw new Error(`${manifest.name} would ship ${path} without leave to run it: list it in executableFiles`);
    if (name !== undefined) copyFileSync(join(built, entry.name), join(scratch, name));
  }
  rmSync(destination, { recursive: true, force: true });
  renameSync(scratch, destination);
}
