// Writes the table of measured results into README.md, between its two markers, from a record of `zio bench copies`:
//   bin/zio bench copies --json copies.json && node scripts/readme-results.mjs copies.json
// Figures are never typed by hand. With --check nothing is written; the status is 1 when the table would differ.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./environment.mjs";

const begin = "<!-- results: written by scripts/readme-results.mjs, do not edit -->";
const end = "<!-- end of results -->";
/** What docs/benchmarking.md asks of a number that is published. */
const pairsWanted = 15;

function fail(text) {
  process.stderr.write(`readme-results: ${text}\n`);
  process.exit(1);
}

const fixed = (value, digits) => value.toFixed(digits);
const micros = ({ median }) => fixed(median / 1000, 1);
const interval = ({ median, low, high }, scale, digits, unit) =>
  `${fixed(median * scale, digits)}${unit} (${fixed(low * scale, digits)}-${fixed(high * scale, digits)})`;

function table(rows) {
  const lines = rows.map((row) => [
    row.copies,
    micros(row.serverCpuNs.plain),
    micros(row.serverCpuNs.zio),
    interval(row.ratio, 1, 2, ""),
    row.recovered ? interval(row.recovered, 100, 0, " %") : "",
    fixed(row.bound.median, 2),
  ]);
  const headings = ["copies a message", "plain, us", "zIO, us", "plain / zIO", "cost of the copies recovered", "bound"];
  const rules = headings.map(() => "---:");
  return [headings, rules, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function machineOf({ machine, commit, startedAt }) {
  const memory = Math.round(machine.memoryBytes / 2 ** 30);
  const changes = commit?.modified ? ", with uncommitted changes" : "";
  return [
    `${machine.cpuModel}, ${machine.cores} cores, ${memory} GiB`,
    `Linux ${machine.kernel}, ${machine.distribution}`,
    `transparent huge pages "${machine.transparentHugePages}"`,
    `load ${fixed(machine.loadAverage, 1)} before the run`,
    `commit ${commit ? commit.id.slice(0, 12) : "unknown"}${changes}`,
    startedAt.slice(0, 10),
  ].join("; ");
}

function section(record) {
  const { options, rows } = record;
  const size = options.messageBytes / 1024;
  const few = options.pairs < pairsWanted ? ` (fewer than the ${pairsWanted} that a published number needs)` : "";
  return [
    begin,
    table(rows),
    "",
    `Server CPU time per message of a ${size} KiB echo that copies each message N times, policy \`${options.policy}\`: medians of`,
    `${options.pairs} interleaved pairs${few}, with 95 % confidence intervals. "Bound" is the ratio if the copies cost nothing at all.`,
    `${machineOf(record)}.`,
    `Command: \`bin/${withoutPaths(record.command).join(" ")}\`; how it is measured: [docs/benchmarking.md](docs/benchmarking.md).`,
    end,
  ].join("\n");
}

/** The command with FILE for the path of the record: it names a place on the machine that measured. */
function withoutPaths(command) {
  return command.map((word, i) => (command[i - 1] === "--json" ? "FILE" : word));
}

const words = process.argv.slice(2);
const file = words.find((word) => word !== "--check");
if (file === undefined) fail("which record? For example: node scripts/readme-results.mjs copies.json");
const record = JSON.parse(readFileSync(file, "utf8"));
if (record.version !== 1 || record.workload !== "copies")
  fail(`${file} is no version 1 record of \`zio bench copies\``);

const path = join(root, "README.md");
const before = readFileSync(path, "utf8");
const [from, to] = [before.indexOf(begin), before.indexOf(end)];
if (from < 0 || to < from) fail("README.md lacks the markers of the table");
const after = before.slice(0, from) + section(record) + before.slice(to + end.length);
if (!words.includes("--check")) writeFileSync(path, after);
else if (after !== before) fail("README.md differs from the record");
