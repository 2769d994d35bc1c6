// Writes the bill of materials of a release (CycloneDX): the packages as they are packed, and everything that comes with them
// when they are installed. `node scripts/sbom.mjs FILE`
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

const [file] = process.argv.slice(2);
const progress = (text) => process.stderr.write(`zio: sbom: ${text}\n`);
if (file === undefined) {
  progress("into which file? node scripts/sbom.mjs FILE");
  process.exit(2);
}
await setUpOrExit();
const { env, dispose } = childEnvironment();
const base = mkdtempSync(join(tmpdir(), "zio-sbom-"));

function run(command, args, cwd) {
  const child = spawnSync(command, args, { cwd, env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (child.status === 0) return child.stdout;
  throw new Error(`${[command, ...args].join(" ")} failed\n${child.stdout}${child.stderr}`);
}

try {
  const packages = readdirSync(join(root, "packages"));
  const [tarballs, project] = [join(base, "tarballs"), join(base, "zio")];
  for (const name of packages) run("pnpm", ["pack", "--pack-destination", tarballs], join(root, "packages", name));
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "name": "zio", "version": "0.0.0", "private": true }\n');
  const files = readdirSync(tarballs).map((name) => join(tarballs, name));
  run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...files], project);
  const bill = JSON.parse(run("npm", ["sbom", "--sbom-format", "cyclonedx"], project));
  // Where they lay on this machine is nobody's business.
  for (const component of bill.components)
    component.externalReferences = (component.externalReferences ?? []).filter(({ url }) => !url.startsWith("file:"));
  const ours = bill.components.filter(({ "bom-ref": reference }) => reference.startsWith("@zio/"));
  if (ours.length !== packages.length) throw new Error(`it lists ${ours.length} of ${packages.length} packages`);
  writeFileSync(file, `${JSON.stringify(bill, null, 2)}\n`);
  progress(`${bill.components.length} components, ${ours.length} of them ours`);
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  dispose();
  rmSync(base, { recursive: true, force: true });
}
