// Measures everything that docs/benchmarks.md, docs/paper.md and the table in README.md show, and writes them anew:
//   node scripts/record-benchmarks.mjs [--minutes 40] [--pairs 15]
// On a machine that does nothing else: about 40 minutes on two cores.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./environment.mjs";

const records = join("docs", "records");
const run = (program, ...args) => execFileSync(program, args, { cwd: root, stdio: "inherit" });
const zio = join(root, "bin", "zio");

let failed = false;
run(zio, "calibrate");
try {
  run(zio, "bench", "record", records, ...process.argv.slice(2));
} catch {
  failed = true; // what could be recorded is there, and the command has said what could not
}
const files = readdirSync(join(root, records))
  .filter((name) => name.endsWith(".json"))
  .map((name) => join(records, name));
run(zio, "bench", "page", "benchmarks", ...files, "--output", join("docs", "benchmarks.md"));
run(zio, "bench", "page", "paper", ...files, "--output", join("docs", "paper.md"));
const copies = join(records, "copies.json");
if (existsSync(join(root, copies))) run(process.execPath, join("scripts", "readme-results.mjs"), copies);
process.exitCode = failed ? 1 : 0;
