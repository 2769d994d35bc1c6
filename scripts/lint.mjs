// `npm run lint`: sets up, then checks format and style (biome), types, and that every C file compiles alone without a
// warning. `npm run lint -- --fix` lets biome repair what it can.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

await setUpOrExit();
const { env, dispose } = childEnvironment();
const failed = [];

function check(name, command, args) {
  const child = spawnSync(command, args, { cwd: root, env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (child.status === 0) return;
  process.stderr.write(`${child.stdout ?? ""}${child.stderr ?? ""}${child.error?.message ?? ""}`);
  failed.push(name);
}

const fix = process.argv.includes("--fix") ? ["--write"] : [];
check("biome", process.execPath, [
  join(root, "node_modules/@biomejs/biome/bin/biome"),
  "check",
  "--error-on-warnings",
  ...fix,
  ".",
]);
// One package at a time by plain tsc: turbo would first ask for builds that set-up has just made.
const projects = [
  ".",
  "test-support",
  "compatibility",
  "examples",
  ...readdirSync(join(root, "packages")).map((name) => `packages/${name}`),
];
for (const project of projects) {
  if (!existsSync(join(root, project, "tsconfig.json"))) continue;
  check(`types of ${project}`, process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", project]);
}

const directories = ["core", "fault-handler", "interpose", "nvm"].map((name) => `packages/${name}`);
const includes = directories.flatMap((directory) => [`-I${directory}/include`, `-I${directory}/native`]);
for (const directory of directories.map((name) => `${name}/native`)) {
  for (const entry of readdirSync(join(root, directory), { recursive: true })) {
    if (!entry.endsWith(".c")) continue;
    const file = join(directory, entry);
    const flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
    check(file, process.env.CC || "cc", [...flags, ...includes, file]);
  }
}

dispose();
process.stderr.write(failed.length > 0 ? `zio: lint failed: ${failed.join(", ")}\n` : "zio: lint passed\n");
process.exitCode = failed.length > 0 ? 1 : 0;
