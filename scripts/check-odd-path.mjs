// Copies the checkout's files into a directory with spaces and a colon in its path, sets it up there from nothing and starts
// its CLI through a symlink: gyp's make generator, PATH and LD_PRELOAD each break on such paths in their own way.
// Arguments, where there are any, are run as `npm test -- ARGUMENTS` in the copy.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root, toolsDirectory } from "./environment.mjs";

const base = mkdtempSync(join(tmpdir(), "zio-odd-path-"));
const copy = join(base, "a b:c", "zio");
const progress = (text) => process.stderr.write(`zio: odd path: ${text}\n`);

function run(command, args, options = {}) {
  const child = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
  if (child.status === 0) return child.stdout;
  process.stderr.write(`${child.stdout ?? ""}${child.stderr ?? ""}`);
  throw new Error(`${[command, ...args].join(" ")} failed in ${copy}`);
}

try {
  progress(copy);
  const files = run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root });
  for (const file of new Set(files.split("\0").filter(Boolean))) {
    const target = join(copy, file);
    mkdirSync(dirname(target), { recursive: true });
    // A file may be listed but deleted in the working tree.
    cpSync(join(root, file), target, { force: true, verbatimSymlinks: true, errorOnExist: false });
  }
  // What was downloaded for this checkout need not be downloaded again.
  const env = { ...process.env, npm_config_store_dir: join(toolsDirectory, "pnpm-store"), npm_config_prefer_offline: "true" };
  run(process.execPath, ["scripts/setup.mjs"], { cwd: copy, env });
  progress("set up");

  const link = join(base, "zio link");
  symlinkSync(join(copy, "bin/zio"), link);
  const version = run(link, ["--version"], { cwd: "/" }).trim();
  progress(`bin/zio ${version} runs through a symlink`);

  const testArguments = process.argv.slice(2);
  if (testArguments.length > 0) {
    const closing = run(process.execPath, ["scripts/test.mjs", ...testArguments], { cwd: copy, env }).trimEnd().split("\n").at(-1);
    progress(closing);
  }
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  rmSync(base, { recursive: true, force: true });
}
