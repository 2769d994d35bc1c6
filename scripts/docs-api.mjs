// `npm run docs:api`: the reference of every package's API, made from its types, as Markdown in build/api. A type that is
// referred to and not exported, or a link that leads nowhere, fails. The list of what is exported must be there as well.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

const out = join(root, "build/api");
await setUpOrExit();
rmSync(out, { recursive: true, force: true });
const { env, dispose } = childEnvironment();
const words = [join(root, "node_modules/typedoc/bin/typedoc"), "--logLevel", "Warn"];
const { status } = spawnSync(process.execPath, words, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
dispose();

const packages = readdirSync(join(root, "packages")).map((name) => `@zio/${name}`);
const missing = packages.filter((name) => {
  const page = join(out, name, "README.md");
  return !existsSync(page) || !readFileSync(page, "utf8").includes("packageVersion");
});
const failed = status !== 0 || missing.length > 0;
const problem = missing.length > 0 ? `without a page: ${missing.join(", ")}` : "the types are not documented (above)";
process.stderr.write(failed ? `zio: the API reference failed: ${problem}\n` : `zio: the API reference is in ${out}\n`);
process.exitCode = failed ? 1 : 0;
