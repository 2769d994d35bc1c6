// The command: runs the programs that are named, or all, and brings the record and the page up to date.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "@zio/bench";
import { type Settings, settingVariables } from "@zio/interpose";
import { compare } from "./compare.js";
import { type Run, runOnce } from "./context.js";
import { getSource, installedVersion, installPackages, missingPackages, upstreamVersion } from "./debian.js";
import { markdown } from "./markdown.js";
import { type Program, Skip } from "./program.js";
import { programs } from "./programs/index.js";
import { type Row, readRecord, withRow, writeRecord } from "./record.js";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const recordFile = `${docs}compatibility.json`;

const usage = `usage: node scripts/compatibility.mjs [options] [NAME...]
  --install         install missing Debian packages (needs root); without it such a program is skipped
  --list            name the programs and end
  --render          only write docs/compatibility.md from the record
  --no-record       change no file in docs
  --keep            keep the directories of the runs
  --threshold SIZE  the smallest input or copy that zIO considers
  --policy POLICY   always unless told
  --disable LIST    kernel features to do without, separated by commas
`;

const options = {
  install: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  render: { type: "boolean", default: false },
  "no-record": { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  threshold: { type: "string" },
  policy: { type: "string", default: "always" },
  disable: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

function say(text: string): void {
  process.stderr.write(`compatibility: ${text}\n`);
}

function commit(): string {
  const git = (...args: string[]) => execFileSync("git", ["-C", docs, ...args], { encoding: "utf8" }).trim();
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no", ":/packages") !== "";
    return `${git("rev-parse", "--short=12", "HEAD")}${changed ? " with changes" : ""}`;
  } catch {
    return "unknown";
  }
}

function prepare(program: Program, install: boolean): void {
  const wanted = [...program.debianPackages, ...(program.debianSources ? ["dpkg-dev"] : [])];
  const missing = missingPackages(wanted);
  if (missing.length > 0 && !install) throw new Skip(`not installed: ${missing.join(", ")} (try --install)`);
  if (missing.length > 0) installPackages(missing);
  for (const source of program.debianSources ?? []) getSource(source);
}

async function judge(program: Program, settings: Settings, keep: boolean): Promise<Row> {
  const run = (mode: "plain" | "zio") =>
    runOnce(program, mode, settings, (text) => say(`${program.name}, ${mode}: ${text}`), keep);
  const { cpuModel, cores, kernel, distribution } = machineFacts();
  const version = program.version?.() ?? upstreamVersion(installedVersion(program.debianPackages[0] ?? "") ?? "");
  const plain = await run("plain");
  say(
    `${program.name}, plain: ${plain.outcome.checks} checks, ${plain.outcome.failed.length} failed, ${plain.seconds} s`,
  );
  let zio: Run | undefined;
  let problem = "";
  try {
    zio = await run("zio");
  } catch (error) {
    problem = `the run under zIO: ${(error as Error).message}`;
  }
  const nothing = { processes: 0, redirectedBytes: 0, elidedBytes: 0, translatedBytes: 0, faults: 0, zeroFaults: 0 };
  const verdict = zio
    ? compare(plain.outcome, zio.outcome)
    : {
        result: "differs" as const,
        checks: plain.outcome.checks,
        baseline: plain.outcome.failed,
        repeated: { plain: [], zio: [] },
        differences: [problem],
      };
  const counters = zio?.counters ?? { ...nothing, fallbacks: {}, states: {} };
  if (zio && counters.processes === 0) {
    verdict.result = "differs";
    verdict.differences.push("no process was under zIO");
  }
  return {
    name: program.name,
    title: program.title,
    version,
    what: program.what,
    ...verdict,
    counters,
    ...(program.elidesNothingBecause ? { elidesNothingBecause: program.elidesNothingBecause } : {}),
    settings: settingVariables(settings),
    seconds: { plain: plain.seconds, zio: zio?.seconds ?? 0 },
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: { cpuModel, cores, kernel, distribution },
  };
}

function report(row: Row): void {
  const { redirectedBytes, elidedBytes, translatedBytes, faults, processes } = row.counters;
  say(
    `${row.name}: ${row.result}; ${row.checks} checks, ${row.baseline.length} in the baseline; redirected ${redirectedBytes}, ` +
      `elided ${elidedBytes}, translated ${translatedBytes}, faults ${faults}, ${processes} programs under zIO, ` +
      `${row.seconds.zio} s (plain ${row.seconds.plain} s)`,
  );
  for (const name of row.baseline) say(`  baseline: ${name}`);
  for (const name of row.repeated.plain) say(`  passed when run again, plain: ${name}`);
  for (const name of row.repeated.zio) say(`  passed when run again, zIO: ${name}`);
  for (const difference of row.differences) say(`  difference: ${difference}`);
}

/** The exit status: 0 where nothing differed. */
export async function main(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true });
  const named = positionals.map((name) => programs.find((program) => program.name === name));
  const unknown = positionals.filter((_, index) => named[index] === undefined);
  if (values.help || unknown.length > 0) {
    process.stderr.write(unknown.length > 0 ? `no such program: ${unknown.join(", ")}\n${usage}` : usage);
    return values.help ? 0 : 2;
  }
  if (values.list) {
    for (const { name, title, what } of programs) process.stdout.write(`${name}: ${title}: ${what}\n`);
    return 0;
  }
  const settings = {
    policy: values.policy,
    ...(values.threshold ? { threshold: values.threshold } : {}),
    ...(values.disable ? { disable: values.disable.split(",") } : {}),
  } as Settings;
  const skipped: string[] = [];
  const bad: string[] = [];
  setPriority(10);
  for (const program of values.render ? [] : named.length > 0 ? (named as Program[]) : programs) {
    try {
      prepare(program, values.install);
      const row = await judge(program, settings, values.keep);
      report(row);
      if (row.result !== "same") bad.push(program.name);
      if (!values["no-record"]) writeRecord(recordFile, withRow(readRecord(recordFile), row));
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof Skip) skipped.push(program.name);
      else bad.push(program.name);
      say(error instanceof Skip ? `skipped: ${program.name}: ${message}` : `${program.name}: fails plain: ${message}`);
    }
  }
  if (!values["no-record"]) writeFileSync(`${docs}compatibility.md`, markdown(readRecord(recordFile)));
  if (bad.length > 0) say(`not the same: ${bad.join(", ")}`);
  const skipsFail = process.env.ZIO_SKIPS_FAIL === "1" && skipped.length > 0;
  return bad.length > 0 || skipsFail ? 1 : 0;
}
