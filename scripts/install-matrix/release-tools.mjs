// The tools that only checks of a release need, in scripts/release-tools with a lock file of their own: installed at their
// first use, so that set-up stays as small as the build.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root, toolsDirectory } from "../environment.mjs";

export const releaseTools = join(root, "scripts/release-tools");

/** Installs them where they are not there yet; `env` is that of `childEnvironment`. */
export function installReleaseTools(env) {
  const wanted = readFileSync(join(releaseTools, "pnpm-lock.yaml"), "utf8");
  const present = join(releaseTools, "node_modules/.pnpm/lock.yaml");
  if (existsSync(present) && readFileSync(present, "utf8") === wanted) return;
  const args = ["install", "--ignore-workspace", "--ignore-scripts", "--frozen-lockfile"];
  const store = ["--store-dir", join(toolsDirectory, "pnpm-store")];
  const child = spawnSync("pnpm", [...args, ...store], { cwd: releaseTools, env, encoding: "utf8" });
  if (child.status === 0) return;
  throw new Error(`the release tools cannot be installed\n${child.stdout}${child.stderr}`);
}
