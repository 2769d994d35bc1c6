// `npm run verify`: everything that is checked before a release and takes minutes; .ci/run first, then what needs a machine
// of its own kind. Goes on after a failure and says at the end which checks failed.
import { spawnSync } from "node:child_process";
import { root } from "./environment.mjs";

const checks = [
  ["the CI run", "bash", [".ci/run"]],
  ["all tests in a path with spaces and a colon", process.execPath, ["scripts/check-odd-path.mjs", "--test"]],
  ["an ordinary user", process.execPath, ["scripts/check-ordinary-user.mjs"]],
  ["other people's programs", process.execPath, ["scripts/compatibility.mjs", "--install", "--no-record"]],
  [
    "victims and programs with a library in which undefined behaviour traps",
    process.execPath,
    ["scripts/test.mjs", "packages/interpose"],
    { ZIO_TEST_LIBRARY: "trapping" },
  ],
  ["a Redis Cluster under a rolling restart", process.execPath, ["scripts/redis-cluster.mjs"]],
  ["a short soak", process.execPath, ["scripts/soak.mjs", "--minutes", "2"]],
  ["power cuts of an emulated machine", process.execPath, ["scripts/power-cuts.mjs", "--cycles", "20"]],
  ["programs that are killed", process.execPath, ["scripts/kill-cycles.mjs", "--cycles", "60"]],
  ["the packages, compiled from what they ship", process.execPath, ["scripts/check-packages.mjs"]],
  ["arm64, in an emulated machine", process.execPath, ["scripts/check-arm64.mjs"]],
  ["installing with every package manager and Node", process.execPath, ["scripts/install-matrix.mjs"]],
];

/** Of a check that lacks something of the machine, and has said what. */
const skipStatus = 77;
const failed = [];
const skipped = [];
for (const [name, command, args, variables = {}] of checks) {
  process.stderr.write(`zio: verify: ${name}\n`);
  const env = { ...process.env, ...variables };
  const { status } = spawnSync(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
  if (status === skipStatus) skipped.push(name);
  else if (status !== 0) failed.push(name);
}
if (skipped.length > 0) process.stderr.write(`zio: verify skipped, for reasons above: ${skipped.join("; ")}\n`);
process.stderr.write(failed.length > 0 ? `zio: verify failed: ${failed.join("; ")}\n` : "zio: verify passed\n");
process.exitCode = failed.length > 0 ? 1 : 0;
