// `primitives`: what the operations cost here that zIO saves or needs: copies, faults, userfaultfd, views. Nothing is
// compared; the numbers say what the other workloads can come to on this machine.
import type { Command } from "commander";
import { type CommonOptions, commonDefaults, configureCommon, describeRun } from "../common-options.js";
import { plain, programPath } from "../contender.js";
import { scaled } from "../figure.js";
import { chooseCpus } from "../machine.js";
import { wholeOption } from "../option-parsers.js";
import { sampleRun } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, recordHead } from "../record.js";
import { type Spread, spread } from "../statistics.js";
import { renderTable } from "../table.js";
import { byPair, measureInterleaved, pairsTaken, type Workload } from "../workload.js";

export interface PrimitivesOptions extends CommonOptions {
  /** Times that each operation is timed in one sample. */
  rounds: number;
}

/** What zio-primitives prints. */
export interface PrimitivesSample {
  version: 1;
  rounds: number;
  operations: { name: string; unit: string; ns: number }[];
}

export interface PrimitivesRow {
  name: string;
  /** What `ns` is for: a copy, a page, a call. */
  unit: string;
  ns: Spread;
}

export type PrimitivesRecord = BenchRecord<null, PrimitivesSample, PrimitivesRow>;

const defaults: PrimitivesOptions = { ...commonDefaults, rounds: 200 };

function configure(command: Command): Command {
  command.option("--rounds <n>", "times that each operation is timed in one sample", wholeOption, defaults.rounds);
  return configureCommon(command, defaults);
}

async function run(options: PrimitivesOptions, progress: Progress, command: string[]): Promise<PrimitivesRecord> {
  const cpus = options.cpus ?? chooseCpus();
  const head = recordHead("primitives", command, cpus);
  const started = performance.now();
  const pin = cpus ? ["--cpu", cpus.server] : [];
  const cells = await measureInterleaved<null, PrimitivesSample>({
    cells: [{ name: "this machine", parameters: null }],
    contenders: [plain],
    pairs: options.pairs,
    budgetSeconds: options.budgetSeconds,
    verify: async () => {},
    sample: (contender) =>
      sampleRun(contender, 120_000, (sample) =>
        sample
          .startClient(programPath("zio-primitives"), ["--rounds", options.rounds, ...pin])
          .report<PrimitivesSample>(),
      ),
    progress,
  });
  const samples = byPair(cells[0]!, "plain");
  const rows = samples[0]!.operations.map(({ name, unit }, index) => ({
    name,
    unit,
    ns: spread(samples.map(({ operations }) => operations[index]!.ns)),
  }));
  return {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options, pairs: pairsTaken(cells) },
    contenders: [{ name: "plain", environment: {} }],
    cells,
    rows,
    targets: [],
  };
}

/** Three significant digits. */
const digits = (ns: number) => String(Number((ns / 1000).toPrecision(3)));

function report(record: BenchRecord): string {
  const rows = (record.rows as PrimitivesRow[]).map(({ name, unit, ns }) => [
    name,
    `${digits(ns.median)} us`,
    digits(ns.iqr),
    unit,
  ]);
  const table = renderTable(["operation", "median", "IQR", "for each"], rows);
  return ["what operations cost on this machine:", describeRun(record), "", table].join("\n");
}

export const primitives: Workload<PrimitivesOptions> = {
  name: "primitives",
  summary: "what copies, faults, userfaultfd and views cost on this machine",
  defaults,
  overview: { pairs: 5 },
  configure,
  run,
  report,
  figure: (record) => ({
    title: "what operations cost on this machine",
    score: "",
    higherIsBetter: false,
    even: 0,
    values: "us, for each of what the row says",
    rows: (record.rows as PrimitivesRow[]).map(({ name, unit, ns }) => ({
      name: `${name} (${unit})`,
      score: null,
      values: { "this machine": scaled(ns, 1e-3) },
    })),
  }),
};
