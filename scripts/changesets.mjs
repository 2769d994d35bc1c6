// Runs the changesets command with the checkout's pnpm on the PATH, by which it packs and publishes:
// `node scripts/changesets.mjs version`, `... publish`.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";

const { env, dispose } = childEnvironment();
const command = join(root, "node_modules/@changesets/cli/bin.js");
const { status } = spawnSync(process.execPath, [command, ...process.argv.slice(2)], {
  cwd: root,
  env,
  stdio: "inherit",
});
dispose();
process.exitCode = status ?? 1;
