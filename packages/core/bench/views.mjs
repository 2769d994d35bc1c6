// `node packages/core/bench/views.mjs [--node-bytes N] [VIEWS]`: compiles views_bench.c as the data plane is compiled, runs it, and prints
// one JSON object: the machine, the commit, and what views_bench.c measured. About a minute.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { "node-bytes": { type: "string", default: "1024" } },
});
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");
const [compiler, ...compilerArguments] = (process.env.CC || "cc").split(" ");
const flags = ["-std=c17", "-D_GNU_SOURCE", "-O2", "-fno-builtin", "-fno-tree-loop-distribute-patterns", "-pthread"];
const program = join(packageRoot, "build/views_bench");

mkdirSync(dirname(program), { recursive: true });
execFileSync(compiler, [
  ...compilerArguments,
  ...flags,
  `-DZIO_VIEW_NODE_BYTES=${values["node-bytes"]}`,
  ...["include", "native"].map((directory) => `-I${join(packageRoot, directory)}`),
  join(packageRoot, "native/zio_core_unit.c"),
  join(packageRoot, "bench/views_bench.c"),
  "-o",
  program,
]);

const git = (...args) => execFileSync("git", args, { cwd: packageRoot, encoding: "utf8" }).trim();
const loadBefore = loadavg()[0];
const measured = JSON.parse(execFileSync(program, positionals, { encoding: "utf8" }));
console.log(
  JSON.stringify(
    {
      command: ["node packages/core/bench/views.mjs", ...process.argv.slice(2)].join(" "),
      commit: git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", ".") ? " and changes" : ""),
      machine: { processor: cpus()[0]?.model, cores: cpus().length, kernel: release(), loadBefore },
      compiler: execFileSync(compiler, ["--version"], { encoding: "utf8" }).split("\n")[0],
      ...measured,
    },
    null,
    2,
  ),
);
