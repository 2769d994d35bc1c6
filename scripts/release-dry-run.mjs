// What a release would do to versions and change logs, tried in a copy of the checkout: every package named by a changeset
// gets its next version and an entry, and the packages still go together.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { copyCheckout } from "./copy-checkout.mjs";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

const progress = (text) => process.stderr.write(`zio: release: ${text}\n`);
await setUpOrExit();
const { env, dispose } = childEnvironment();
const copy = mkdtempSync(join(tmpdir(), "zio-release-"));

function run(command, ...args) {
  const child = spawnSync(command, args, { cwd: copy, env, encoding: "utf8" });
  if (child.status !== 0) throw new Error(`${[command, ...args].join(" ")} failed\n${child.stdout}${child.stderr}`);
  return child.stdout;
}

/** Names of the packages that changesets of the checkout name. */
function changedPackages() {
  const directory = join(root, ".changeset");
  const texts = readdirSync(directory)
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .map((name) => readFileSync(join(directory, name), "utf8"));
  return new Set(texts.flatMap((text) => [...text.matchAll(/^"(@zio\/[\w-]+)": \w+$/gm)].map((match) => match[1])));
}

const manifestsOf = (base) =>
  readdirSync(join(base, "packages")).map((name) => {
    const directory = join(base, "packages", name);
    return { directory, ...JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) };
  });

/** The tags that a release makes: the docs of a version are the files at its tag. */
function tagDocs(released) {
  run("git", "add", "--all");
  run("git", "commit", "--quiet", "--message", "versions");
  run(process.execPath, join(root, "node_modules/@changesets/cli/bin.js"), "tag");
  for (const { name, version, directory } of released) {
    const readme = run("git", "show", `${name}@${version}:${relative(copy, directory)}/README.md`);
    if (!readme.startsWith(`# ${name}\n`)) throw new Error(`the tag ${name}@${version} has no README of ${name}`);
    run("git", "show", `${name}@${version}:docs/README.md`);
  }
  if (released.length > 0)
    progress(`docs of ${released.length} packages are at tags such as ${released[0].name}@${released[0].version}`);
}

try {
  copyCheckout(copy);
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  run("git", "init", "--quiet", "--initial-branch=main");
  run("git", "config", "user.name", "release");
  run("git", "config", "user.email", "release@localhost");
  run("git", "add", "--all");
  run("git", "commit", "--quiet", "--message", "copy of the checkout");
  const changed = changedPackages();
  if (changed.size === 0) progress("no changeset: there is nothing to release");
  run(process.execPath, join(root, "node_modules/@changesets/cli/bin.js"), "version");

  const before = new Map(manifestsOf(root).map(({ name, version }) => [name, version]));
  const problems = [];
  for (const { directory, name, version } of manifestsOf(copy)) {
    if (!changed.has(name)) continue;
    const log = join(directory, "CHANGELOG.md");
    if (version === before.get(name)) problems.push(`${name} stays at ${version}`);
    if (!existsSync(log) || !readFileSync(log, "utf8").includes(`## ${version}\n`))
      problems.push(`the change log of ${name} has no ${version}`);
    progress(`${name} ${before.get(name)} -> ${version}`);
  }
  for (const name of changed) if (!before.has(name)) problems.push(`a changeset names ${name}, which is no package`);
  if (problems.length > 0) throw new Error(problems.join("; "));
  tagDocs(manifestsOf(copy).filter(({ name }) => changed.has(name)));
  progress("passed");
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  dispose();
  rmSync(copy, { recursive: true, force: true });
}
