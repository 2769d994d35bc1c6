// Publishes every package to a registry on loopback and installs them into empty projects, with each package manager and
// Node: nothing may need a compiler, everything must load and elide, and removing must leave nothing. `--short` is npm
// with the Node that runs this. `--keep` leaves the directory for a look.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { childEnvironment, root } from "./environment.mjs";
import { installedNode, managers, projectEnvironment } from "./install-matrix/managers.mjs";
import { startRegistry } from "./install-matrix/registry.mjs";
import { installReleaseTools } from "./install-matrix/release-tools.mjs";
import { setUpOrExit } from "./setup.mjs";

const { short, keep, only } = parseArgs({
  options: { short: { type: "boolean" }, keep: { type: "boolean" }, only: { type: "string" } },
}).values;

const allCases = [
  { manager: "npm", node: 20, folder: "a b:c" },
  { manager: "npm", node: 20, folder: "without scripts", scripts: false },
  { manager: "npm", node: 22, folder: "plain" },
  { manager: "npm", node: 24, folder: "plain" },
  { manager: "pnpm", node: 20, folder: "a b:c" },
  { manager: "pnpm", node: 22, folder: "plain" },
  { manager: "pnpm", node: 24, folder: "plain" },
  { manager: "yarn", node: 20, folder: "a b" },
  { manager: "yarn", node: 22, folder: "without scripts", scripts: false },
  { manager: "yarn", node: 24, folder: "plain" },
  { manager: "yarn-pnp", node: 20, folder: "a b" },
  { manager: "yarn-pnp", node: 22, folder: "without scripts", scripts: false },
  { manager: "yarn-pnp", node: 24, folder: "plain" },
];
const thisNode = Number(process.versions.node.split(".")[0]);
const cases = short ? [{ manager: "npm", node: thisNode, folder: "a b:c" }] : allCases;

const progress = (text) => process.stderr.write(`zio: install: ${text}\n`);
const nameOf = ({ manager, node, folder }) => `${manager}, Node ${node}, in "${folder}"`;

/** Where that can be had, this runs again with a /dev/shm of its own: what is found in it nobody else has put there. */
function haveOwnMemory() {
  const marker = "ZIO_MATRIX_OWN_MEMORY";
  const by = ["--mount", "--propagation", "private"];
  if (process.env[marker] || spawnSync("unshare", [...by, "true"]).status !== 0) return;
  const script = 'mount -t tmpfs none /dev/shm; exec "$@"';
  const words = [...by, "sh", "-ec", script, "sh", process.execPath, ...process.argv.slice(1)];
  const options = { stdio: "inherit", env: { ...process.env, [marker]: "yes" } };
  process.exit(spawnSync("unshare", words, options).status ?? 1);
}

haveOwnMemory();
await setUpOrExit();
const { env, dispose } = childEnvironment();
const base = mkdtempSync(join(tmpdir(), "zio-install-"));

function run(command, args, options = {}) {
  const limits = { encoding: "utf8", maxBuffer: 1 << 28, timeout: 300_000, killSignal: "SIGKILL" };
  const child = spawnSync(command, args, { ...limits, stdio: ["ignore", "pipe", "pipe"], ...options });
  if (child.status === 0) return child.stdout;
  throw new Error(
    `${[command, ...args].join(" ")} failed\n${child.stdout ?? ""}${child.stderr ?? ""}${child.error ?? ""}`,
  );
}

/** Publishes every package as a release does; returns their names. */
function publishAll(registry) {
  const userconfig = join(base, "publish.npmrc");
  writeFileSync(userconfig, `registry=${registry.url}\n${registry.url.replace("http:", "")}:_authToken=nobody\n`);
  const variables = { ...env, npm_config_registry: registry.url, npm_config_userconfig: userconfig };
  const words = [join(root, "scripts/changesets.mjs"), "publish", "--no-git-tag"];
  run(process.execPath, words, { cwd: root, env: variables });
  const names = readdirSync(join(root, "packages")).map((directory) => {
    return JSON.parse(readFileSync(join(root, "packages", directory, "package.json"), "utf8")).name;
  });
  for (const name of names) run("npm", ["view", name, "version"], { cwd: base, env: variables });
  return names;
}

/** What SUPPORT.md says may stay in the home directory: what the machine's steps cost, as the first run measured it. */
const keptCosts = ".cache/zio/costs.json";

/** Files below a directory whose path names one of our packages, caches of package managers and the costs apart. */
function traces(directory) {
  const caches = /^(\.npm|\.cache\/(?!zio)|\.local\/share\/pnpm|\.yarn\/(cache|berry))/;
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => /@zio|\bzio\b/.test(path) && path !== keptCosts && !caches.test(path));
}

const sharedMemory = () => new Set(existsSync("/dev/shm") ? readdirSync("/dev/shm") : []);
/** The directories of this user for live counters and for links, in memory; and, where it is shared, other benchmarks'. */
const allowedInMemory = /^zio-((library-)?\d+|bench-stats-\w+)$/;

/** The installed packages as a volume of a container has them: copied to another path, and read-only. */
function tryReadOnlyCopy(project, place, node, variables) {
  const volume = join(place, "volume");
  cpSync(project, volume, { recursive: true, verbatimSymlinks: true });
  const options = { cwd: place, env: variables };
  const canMount = spawnSync("unshare", ["--mount", "true"]).status === 0;
  // Root writes whatever the modes say; a mount of its own holds for root too.
  const readOnly = 'mount --bind -o ro "$1" "$1"; ! touch "$1/x" 2>/dev/null; shift; exec "$@"';
  if (!canMount) run("chmod", ["-R", "a-w", volume]);
  const by = canMount
    ? ["unshare", "--mount", "--propagation", "private", "sh", "-ec", readOnly, "sh", volume]
    : ["env"];
  const words = [...by, node, "check.mjs"];
  JSON.parse(run(words[0], words.slice(1), { ...options, cwd: volume }));
  const zio = join(volume, "node_modules/.bin/zio");
  const said = run(by[0], [...by.slice(1), zio, "run", "--", "echo", "hello"], options);
  if (said.trim() !== "hello") throw new Error("zio run does not run the command from a read-only copy");
  if (!canMount) run("chmod", ["-R", "u+w", volume]);
  rmSync(volume, { recursive: true, force: true });
}

function tryCase(each, names, registry) {
  const manager = managers[each.manager];
  const place = mkdtempSync(join(base, "case-"));
  const project = join(place, each.folder, "project");
  mkdirSync(project, { recursive: true });
  const node = each.node === thisNode ? process.execPath : installedNode(each.node, join(base, "nodes"), run, env);
  const surroundings = projectEnvironment(place, node, registry.url);
  const options = { cwd: project, env: surroundings.env };
  const before = sharedMemory();
  writeFileSync(join(project, "package.json"), '{ "name": "empty", "private": true }\n');
  const tool = (...args) => run(node, [manager.script(env), ...args], options);

  manager.prepare?.(project, registry.url, each.scripts !== false);
  tool(...manager.add(each.scripts !== false), ...names);
  if (existsSync(surroundings.compilerMark))
    throw new Error(`a compiler was asked for: ${readFileSync(surroundings.compilerMark, "utf8")}`);

  const check = readFileSync(join(root, "scripts/install-matrix/check.mjs"));
  writeFileSync(join(project, "check.mjs"), check);
  const checked = JSON.parse(manager.runNode(run, node, env, ["check.mjs"], options));
  if (!checked.node.startsWith(`v${each.node}.`)) throw new Error(`this was Node ${checked.node}`);
  const zio = (...args) => manager.runZio(run, node, env, args, options);
  if (zio("run", "--", "echo", "hello").trim() !== "hello") throw new Error("zio run does not run the command");
  const doctor = JSON.parse(zio("doctor", "--json"));
  const library = doctor.checks.find(({ id }) => id === "library");
  if (library.state === "missing") throw new Error(library.reason);

  if (each.manager === "npm") tryReadOnlyCopy(project, place, node, surroundings.env);

  tool(...manager.remove(), ...names);
  const left = [...traces(project), ...traces(surroundings.home), ...traces(surroundings.temporary)];
  const added = [...sharedMemory()].filter(
    (name) => !before.has(name) && /zio/.test(name) && !allowedInMemory.test(name),
  );
  if (left.length + added.length > 0) throw new Error(`left behind: ${[...left, ...added].slice(0, 10).join(", ")}`);
  const elided = checked.available
    ? `${checked.elidedBytes} bytes of a message elided`
    : `without userfaultfd: ${checked.reason}`;
  progress(`${nameOf(each)}: ${checked.node}, ${elided}`);
  rmSync(place, { recursive: true, force: true });
}

let registry;
const failed = [];
try {
  installReleaseTools(env);
  registry = await startRegistry(join(base, "registry"), env);
  const names = publishAll(registry);
  progress(`${names.length} packages are published to ${registry.url}`);
  for (const each of cases.filter(({ manager }) => !only || manager === only)) {
    try {
      tryCase(each, names, registry);
    } catch (error) {
      progress(`${nameOf(each)}: ${error.message}`);
      failed.push(nameOf(each));
    }
  }
} catch (error) {
  progress(error.message);
  failed.push("the registry");
} finally {
  registry?.stop();
  dispose();
  if (keep) progress(`kept ${base}`);
  else rmSync(base, { recursive: true, force: true });
}
progress(failed.length > 0 ? `failed: ${failed.join("; ")}` : "passed");
process.exitCode = failed.length > 0 ? 1 : 0;
