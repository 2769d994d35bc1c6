// Copies the checkout's files into a directory with spaces and a colon in its path, sets it up there from nothing and starts
// its CLI through a symlink: gyp's make generator, PATH and LD_PRELOAD each break on such paths in their own way.
// With --test, all tests run there too; further arguments narrow them as in `npm test -- ARGUMENTS`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyCheckout } from "./copy-checkout.mjs";
import { toolsDirectory } from "./environment.mjs";

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
  copyCheckout(copy);
  // What was downloaded for this checkout need not be downloaded again.
  const env = {
    ...process.env,
    npm_config_store_dir: join(toolsDirectory, "pnpm-store"),
    npm_config_prefer_offline: "true",
  };
  run(process.execPath, ["scripts/setup.mjs"], { cwd: copy, env });
  progress("set up");

  const link = join(base, "zio link");
  symlinkSync(join(copy, "bin/zio"), link);
  const version = run(link, ["--version"], { cwd: "/" }).trim();
  progress(`bin/zio ${version} runs through a symlink`);

  const [option, ...testArguments] = process.argv.slice(2);
  if (option === "--test") {
    const closing = run(process.execPath, ["scripts/test.mjs", ...testArguments], { cwd: copy, env })
      .trimEnd()
      .split("\n")
      .at(-1);
    progress(closing);
  }
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  rmSync(base, { recursive: true, force: true });
}
