import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { builtFile } from "../built-file.js";
import { libraryPath, preloadablePath } from "../library-path.js";
import { type CampaignSummary, type Finding, runCampaign } from "./campaign.js";
import { compareRuns, type Executor, execute, isLogged, type Mode, modes } from "./execute.js";
import { generateProgram } from "./generate.js";
import { formatProgram } from "./program.js";

const modeNames = Object.keys(modes) as Mode[];

/** Options by name: what their value is called and what they mean; the help is made from this. */
const definitions = {
  seconds: ["number", "run for so long (60, unless --operations is given)"],
  minutes: ["number", "run for so many minutes"],
  operations: ["number", "end after so many operations"],
  seed: ["number", "the first program's seed (1); the following programs have the following seeds"],
  "per-program": ["number", "operations of one program (400)"],
  modes: ["list", `settings to run in, of ${modeNames.join(", ")}; the first with every program`],
  nvm: ["", "log files in a pool: all modes that do; without it, or --modes, all others"],
  jobs: ["number", "programs at a time (1)"],
  timeout: ["number", "seconds after which a run counts as a hang (30)"],
  "shrink-seconds": ["number", "the most time to make one failing program smaller (120)"],
  output: ["directory", "where programs that differ are written (the current directory)"],
  replay: ["file", "run the program in this file instead, in every mode"],
  print: ["", "print the program of --seed instead of running it"],
  json: ["file", "write the summary to this file"],
  help: ["", "print this text"],
} as const;
type OptionName = keyof typeof definitions;

function helpText(): string {
  const names = Object.keys(definitions) as OptionName[];
  const heads = names.map((name) => `  --${name} ${definitions[name][0] && `<${definitions[name][0]}>`}`.trimEnd());
  const width = Math.max(...heads.map((head) => head.length)) + 2;
  const lines = names.map((name, index) => `${heads[index]!.padEnd(width)}${definitions[name][1]}`);
  return [
    "Usage: zio-fuzz [options]",
    "",
    "Runs random programs of memory and IO operations plain and under zIO and compares every byte.",
    "Exits with 1 when a run differs, with 77 when zIO cannot work here.",
    "",
    ...lines,
    "",
  ].join("\n");
}

class UsageError extends Error {}

type Values = Partial<Record<OptionName, string | boolean>>;

function numberOf(values: Values, name: OptionName): number | undefined {
  const given = values[name];
  if (given === undefined) return undefined;
  const number = Number(given);
  if (given === "" || !Number.isFinite(number) || number < 0) throw new UsageError(`--${name} wants a number`);
  return number;
}

function modesOf(values: Values): Mode[] {
  if (values.modes === undefined) return modeNames.filter((name) => isLogged(name) === (values.nvm === true));
  return String(values.modes)
    .split(",")
    .map((name) => {
      if (!modeNames.includes(name as Mode)) throw new UsageError(`--modes: there is no "${name}"`);
      return name as Mode;
    });
}

const say = (text: string) => process.stderr.write(`zio-fuzz: ${text}\n`);

interface Programs {
  program: string;
  library: string;
  provider?: string;
}

/** The library of pools; its package is no dependency of this one. */
async function findProvider(): Promise<string> {
  const nvm = await import("@zio/nvm").catch(() => undefined);
  if (nvm === undefined) throw new UsageError("files are logged with @zio/nvm, which is not installed");
  return nvm.providerPath();
}

/** Where the programs are, or why nothing can be compared. */
async function findPrograms(chosen: readonly Mode[]): Promise<Programs> {
  const program = builtFile("zio-fuzz-program");
  if (program === undefined) throw new UsageError("zio-fuzz-program is not built; build @zio/interpose");
  const found = { program, library: preloadablePath(libraryPath()) };
  return chosen.some(isLogged) ? { ...found, provider: await findProvider() } : found;
}

function describe({ programs, operations, preloadedRuns, counters, findings, seconds }: CampaignSummary): string {
  const count = (name: string) => (counters[name] ?? 0).toLocaleString("en-US");
  const logged = counters.loggedBytes
    ? `, ${count("loggedBytes")} logged, ${count("loggedByReferenceBytes")} by reference`
    : "";
  return (
    `${programs} programs, ${operations.toLocaleString("en-US")} operations in ${Math.round(seconds)} s; ` +
    `${preloadedRuns} preloaded runs: ${count("redirectedBytes")} bytes redirected, ${count("elidedBytes")} elided, ` +
    `${count("faults")} faults${logged}; ${findings.length} differences`
  );
}

function describeFinding({ seed, mode, kind, difference, operations, file }: Finding): string {
  return [
    `${kind}: seed ${seed}, mode ${mode}, line ${difference.line}; ${operations} operations in ${file}`,
    `  plain: ${difference.plain}`,
    `  zio:   ${difference.zio}`,
    `  repeat: zio-fuzz --replay ${file} --modes ${mode}`,
  ].join("\n");
}

/** Progress on one line of a terminal; elsewhere a line every half minute. */
function progressPrinter(): (summary: CampaignSummary) => void {
  let last = Date.now();
  return (summary) => {
    const terminal = process.stderr.isTTY === true;
    if (Date.now() - last < (terminal ? 500 : 30_000)) return;
    last = Date.now();
    process.stderr.write(terminal ? `\r\x1b[Kzio-fuzz: ${describe(summary)}` : `zio-fuzz: ${describe(summary)}\n`);
  };
}

async function replay(file: string, values: Values, programs: Programs): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), "zio-fuzz-"));
  try {
    const executor: Executor = { ...programs, scratch, timeoutMs: (numberOf(values, "timeout") ?? 30) * 1000 };
    const copy = join(scratch, "program");
    writeFileSync(copy, readFileSync(file));
    const plain = await execute(executor, copy);
    let status = 0;
    for (const mode of modesOf(values)) {
      const zio = await execute(executor, copy, mode);
      const difference = compareRuns(plain, zio);
      if (difference) status = 1;
      const elided = `${zio.counters.elidedBytes ?? 0} bytes elided, ${zio.counters.faults ?? 0} faults`;
      say(`${mode}: ${difference ? "differs" : "the same"}; ${elided}`);
      if (difference) say(`  line ${difference.line}\n  plain: ${difference.plain}\n  zio:   ${difference.zio}`);
    }
    return status;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function nothingProved({ counters }: CampaignSummary, chosen: readonly Mode[]): string | undefined {
  if (chosen.some(isLogged) && !counters.loggedByReferenceBytes) return "logged by reference";
  return counters.elidedBytes ? undefined : "elided";
}

async function fuzz(values: Values, programs: Programs): Promise<number> {
  const operations = numberOf(values, "operations");
  const minutes = numberOf(values, "minutes");
  const seconds = numberOf(values, "seconds") ?? (minutes === undefined ? undefined : minutes * 60);
  const output = String(values.output ?? ".");
  mkdirSync(output, { recursive: true });
  const summary = await runCampaign({
    ...programs,
    firstSeed: numberOf(values, "seed") ?? 1,
    seconds: seconds ?? (operations === undefined ? 60 : Number.POSITIVE_INFINITY),
    operations: operations ?? Number.POSITIVE_INFINITY,
    operationsPerProgram: numberOf(values, "per-program") ?? 400,
    modes: modesOf(values),
    jobs: Math.max(1, numberOf(values, "jobs") ?? 1),
    timeoutMs: (numberOf(values, "timeout") ?? 30) * 1000,
    shrinkSeconds: numberOf(values, "shrink-seconds") ?? 120,
    output,
    onProgress: progressPrinter(),
    onFinding: (finding) => say(describeFinding(finding)),
  });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  say(describe(summary));
  if (values.json) writeFileSync(String(values.json), `${JSON.stringify({ version: 1, ...summary }, null, 2)}\n`);
  if (summary.findings.length > 0) return 1;
  const missing = nothingProved(summary, modesOf(values));
  if (missing) say(`nothing was ${missing}, so nothing was proved; \`zio doctor\` says why`);
  return missing ? 77 : 0;
}

/** Returns the exit status. */
export async function runFuzzCommand(args: string[]): Promise<number> {
  try {
    const options = Object.fromEntries(
      (Object.keys(definitions) as OptionName[]).map((name) => [
        name,
        { type: definitions[name][0] ? ("string" as const) : ("boolean" as const) },
      ]),
    );
    const values = parseArgs({ args, options, allowPositionals: false }).values as Values;
    if (values.help) {
      process.stdout.write(helpText());
      return 0;
    }
    if (values.print) {
      const program = generateProgram(
        numberOf(values, "seed") ?? 1,
        numberOf(values, "per-program") ?? 400,
        modesOf(values).some(isLogged),
      );
      process.stdout.write(formatProgram(program));
      return 0;
    }
    const programs = await findPrograms(modesOf(values));
    return values.replay ? await replay(String(values.replay), values, programs) : await fuzz(values, programs);
  } catch (error) {
    if (!(error instanceof UsageError) && !(error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS")) throw error;
    process.stderr.write(`zio-fuzz: ${(error as Error).message}\n`);
    return 2;
  }
}
