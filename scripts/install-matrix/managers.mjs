// How each package manager is told to install, run and remove, and the surroundings of a project that nothing of this machine
// but its system programs reaches.
import { chmodSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { toolsDirectory } from "../environment.mjs";
import { releaseTools } from "./release-tools.mjs";

function npmScript(env) {
  if (env.npm_execpath?.endsWith("npm-cli.js")) return env.npm_execpath;
  const directory = env.PATH.split(delimiter).find((candidate) => existsSync(join(candidate, "npm")));
  return realpathSync(join(directory, "npm"));
}

const withNode = (run, node, _, args, options) => run(node, args, options);
const withBin = (run, _node, _env, args, options) => run(join(options.cwd, "node_modules/.bin/zio"), args, options);

const yarnScript = () => join(releaseTools, "node_modules/@yarnpkg/cli-dist/bin/yarn.js");

function yarn(nodeLinker) {
  return {
    script: yarnScript,
    prepare(project, registry, scripts) {
      writeFileSync(join(project, "yarn.lock"), "");
      const settings = {
        nodeLinker,
        npmRegistryServer: registry,
        unsafeHttpWhitelist: ["127.0.0.1"],
        enableGlobalCache: false,
        enableTelemetry: false,
        enableScripts: scripts,
        npmMinimalAgeGate: 0,
      };
      writeFileSync(join(project, ".yarnrc.yml"), `${JSON.stringify(settings)}\n`);
    },
    add: () => ["add"],
    remove: () => ["remove"],
    runNode: withNode,
    runZio: withBin,
  };
}

export const managers = {
  npm: {
    script: npmScript,
    add: (scripts) => ["install", "--no-audit", "--no-fund", ...(scripts ? [] : ["--ignore-scripts"])],
    remove: () => ["uninstall", "--no-audit", "--no-fund"],
    runNode: withNode,
    runZio: withBin,
  },
  pnpm: {
    script: () => join(toolsDirectory, "node_modules/pnpm/bin/pnpm.cjs"),
    add: () => ["add"],
    remove: () => ["remove"],
    runNode: withNode,
    runZio: withBin,
  },
  yarn: yarn("node-modules"),
  "yarn-pnp": {
    ...yarn("pnp"),
    runNode: (run, node, _, args, options) => run(node, [yarnScript(), "node", ...args], options),
    runZio: (run, node, _, args, options) => run(node, [yarnScript(), "zio", ...args], options),
  },
};

/** The newest Node of a major version, as npm has it. */
export function installedNode(major, directory, run, env) {
  const prefix = join(directory, String(major));
  const program = join(prefix, `node_modules/node-linux-${process.arch}/bin/node`);
  if (!existsSync(program)) {
    mkdirSync(prefix, { recursive: true });
    writeFileSync(join(prefix, "package.json"), '{ "private": true }\n');
    const name = `node-linux-${process.arch}@${major}`;
    run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", name], { cwd: prefix, env });
    chmodSync(program, 0o755);
  }
  return program;
}

/** A clean HOME, and compilers that leave a mark instead of compiling. */
export function projectEnvironment(place, node, registry) {
  const [home, temporary, programs] = ["home", "tmp", "programs"].map((name) => join(place, name));
  for (const directory of [home, temporary, programs]) mkdirSync(directory);
  const compilerMark = join(place, "compiler-called");
  for (const name of ["cc", "gcc", "g++", "c++", "clang", "make", "python3", "node-gyp"]) {
    writeFileSync(join(programs, name), `#!/bin/sh\necho "$0 $*" >>"${compilerMark}"\nexit 1\n`);
    chmodSync(join(programs, name), 0o755);
  }
  symlinkSync(node, join(programs, "node"));
  const env = {
    HOME: home,
    TMPDIR: temporary,
    PATH: [programs, "/usr/local/bin", "/usr/bin", "/bin"].join(delimiter),
    CC: join(programs, "cc"),
    npm_config_registry: registry,
    npm_config_update_notifier: "false",
    // pnpm otherwise keeps what was removed for a week.
    npm_config_modules_cache_max_age: "0",
    LANG: "C.UTF-8",
  };
  return { env, home, temporary, compilerMark };
}
