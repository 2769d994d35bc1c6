// One campaign of zio-fuzz: programs of consecutive seeds, each run plain and preloaded, until the time or the number
// of operations is reached. A difference is repeated, shrunk and written to a file.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  candidateFile,
  compareRuns,
  type Difference,
  type Executor,
  execute,
  isLogged,
  type Mode,
  type Run,
} from "./execute.js";
import { generateProgram } from "./generate.js";
import { formatProgram, type Program } from "./program.js";
import { shrinkProgram } from "./shrink.js";

export interface CampaignOptions {
  program: string;
  library: string;
  /** The library of pools, for modes that log files. */
  provider?: string;
  firstSeed: number;
  /** Ends after this time, or after this many operations, whichever comes first. */
  seconds: number;
  operations: number;
  operationsPerProgram: number;
  /** Every program runs in the first mode and in one of the others in turn. */
  modes: readonly Mode[];
  jobs: number;
  timeoutMs: number;
  shrinkSeconds: number;
  /** Where the programs that differed are written. */
  output: string;
  onProgress?: (summary: CampaignSummary) => void;
  onFinding?: (finding: Finding) => void;
}

export interface Finding {
  seed: number;
  mode: Mode;
  /** "difference"; "unsteady", where the same program in the same mode agreed when it was repeated; "generator", where two plain runs differ. */
  kind: "difference" | "unsteady" | "generator";
  difference: Difference;
  operations: number;
  file: string;
}

export interface CampaignSummary {
  programs: number;
  /** Of programs; each ran once plain and once in every mode chosen for it. */
  operations: number;
  preloadedRuns: number;
  /** Sums of the counters of all preloaded runs. */
  counters: Record<string, number>;
  findings: Finding[];
  seconds: number;
}

interface Differing {
  seed: number;
  mode: Mode;
  program: Program;
  difference: Difference;
  file: string;
  plain: Run;
}

/** Runs of one program in one mode after it differed: what the finding is called depends on how often it repeats. */
const repetitions = 4;

class Campaign {
  readonly summary: CampaignSummary = {
    programs: 0,
    operations: 0,
    preloadedRuns: 0,
    counters: {},
    findings: [],
    seconds: 0,
  };
  readonly #executor: Executor;
  readonly #started = Date.now();
  #serial = 0;
  #nextSeed: number;

  constructor(readonly options: CampaignOptions) {
    this.#nextSeed = options.firstSeed;
    this.#executor = {
      program: options.program,
      library: options.library,
      ...(options.provider === undefined ? {} : { provider: options.provider }),
      scratch: mkdtempSync(join(tmpdir(), "zio-fuzz-")),
      timeoutMs: options.timeoutMs,
    };
  }

  async run(): Promise<CampaignSummary> {
    try {
      await Promise.all(Array.from({ length: this.options.jobs }, () => this.#work()));
    } finally {
      rmSync(this.#executor.scratch, { recursive: true, force: true });
    }
    this.summary.seconds = this.#elapsedSeconds();
    return this.summary;
  }

  #elapsedSeconds(): number {
    return (Date.now() - this.#started) / 1000;
  }

  async #work(): Promise<void> {
    const { summary, options } = this;
    while (this.#elapsedSeconds() < options.seconds && summary.operations < options.operations) {
      const seed = this.#nextSeed++;
      const program = generateProgram(seed, options.operationsPerProgram, options.modes.some(isLogged));
      summary.programs++;
      summary.operations += program.length;
      await this.#compare(seed, program);
      summary.seconds = this.#elapsedSeconds();
      options.onProgress?.(summary);
    }
  }

  #modesFor(seed: number): Mode[] {
    const [first, ...others] = this.options.modes;
    return others.length > 0 ? [first!, others[seed % others.length]!] : [first!];
  }

  async #compare(seed: number, program: Program): Promise<void> {
    const file = this.#write(program);
    const plain = await execute(this.#executor, file);
    for (const mode of this.#modesFor(seed)) {
      const zio = await this.#preloaded(file, mode);
      const difference = compareRuns(plain, zio) ?? unexpectedEnding(plain);
      if (difference) await this.#report({ seed, mode, program, difference, file, plain });
    }
    rmSync(file, { force: true });
  }

  async #preloaded(file: string, mode: Mode): Promise<Run> {
    const run = await execute(this.#executor, file, mode);
    this.summary.preloadedRuns++;
    for (const [name, value] of Object.entries(run.counters))
      this.summary.counters[name] = (this.summary.counters[name] ?? 0) + value;
    return run;
  }

  #write(program: Program): string {
    const file = candidateFile(this.#executor, `${this.#serial++}`);
    writeFileSync(file, formatProgram(program));
    return file;
  }

  /** Whether plain runs agree with each other and with the first, and how often preloaded ones differ from them. */
  async #repeat(file: string, mode: Mode, first: Run): Promise<{ steady: boolean; differed: number }> {
    let differed = 0;
    const plain = await execute(this.#executor, file);
    if (unexpectedEnding(plain) || compareRuns(plain, first)) return { steady: false, differed };
    if (compareRuns(plain, await execute(this.#executor, file))) return { steady: false, differed };
    for (let i = 0; i < repetitions; i++) if (compareRuns(plain, await execute(this.#executor, file, mode))) differed++;
    return { steady: true, differed };
  }

  async #report({ seed, mode, program, difference, file, plain }: Differing): Promise<void> {
    const { steady, differed } = await this.#repeat(file, mode, plain);
    const kind = !steady ? "generator" : differed === 0 ? "unsteady" : "difference";
    // What differs rarely is tried more often before a candidate counts as good.
    const tries = differed === repetitions ? 1 : 6;
    const smallest = kind === "difference" ? await this.#shrink(program, mode, tries) : program;
    const name = resolve(this.options.output, `zio-fuzz-${seed}-${mode}.txt`);
    const finding: Finding = { seed, mode, kind, difference, operations: smallest.length, file: name };
    writeFileSync(name, formatProgram(smallest, commentsOf(finding)));
    this.summary.findings.push(finding);
    this.options.onFinding?.(finding);
  }

  #shrink(program: Program, mode: Mode, tries: number): Promise<Program> {
    const fails = async (candidate: Program): Promise<boolean> => {
      const file = this.#write(candidate);
      try {
        const plain = await execute(this.#executor, file);
        if (unexpectedEnding(plain)) return false;
        for (let i = 0; i < tries; i++)
          if (compareRuns(plain, await execute(this.#executor, file, mode)))
            return compareRuns(plain, await execute(this.#executor, file)) === undefined;
        return false;
      } finally {
        rmSync(file, { force: true });
      }
    };
    return shrinkProgram(program, { fails, deadlineMs: Date.now() + this.options.shrinkSeconds * 1000 });
  }
}

/** A plain run that does not come to its end proves nothing. */
function unexpectedEnding(plain: Run): Difference | undefined {
  const printed = plain.lines.filter((line) => !line.startsWith("0 left "));
  if (plain.ending === "exit status 0" && printed.at(-1) === "0 end") return undefined;
  return { line: 0, plain: `${printed.at(-1) ?? ""} (${plain.ending})`, zio: "" };
}

function commentsOf({ seed, mode, kind, difference }: Finding): string[] {
  return [
    `${kind} of seed ${seed} in mode ${mode}`,
    `plain: ${difference.plain}`,
    `zio:   ${difference.zio}`,
    `repeat: zio-fuzz --replay FILE --modes ${mode}`,
  ];
}

export function runCampaign(options: CampaignOptions): Promise<CampaignSummary> {
  return new Campaign(options).run();
}
