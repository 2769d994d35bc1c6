// What the workloads share that run servers of other people: cells, samples of all contenders, a row for each cell with
// the ratio first, and the report.
import { type CommonOptions, describeRun, targetLines } from "./common-options.js";
import type { Contender } from "./contender.js";
import { ratiosToPlain } from "./echo-sweep.js";
import type { Observation } from "./load.js";
import { type CpuPair, chooseCpus } from "./machine.js";
import type { Progress } from "./progress.js";
import { type BenchRecord, portableEnvironment, type RecordedCell, recordHead, type Target } from "./record.js";
import type { Cell } from "./schedule.js";
import { type Estimate, estimateMedian, type Spread, spread } from "./statistics.js";
import { fixed, micros, renderTable, withInterval } from "./table.js";
import { byPair, measureInterleaved, pairsTaken } from "./workload.js";

export type ObservedCell<Settings = unknown> = RecordedCell<Settings, Observation>;

export interface ComparisonRow {
  name: string;
  /** plain / zIO CPU time of the server per operation; of further contenders, by their name, in `others`. */
  ratio: Estimate;
  others: Record<string, Estimate>;
  /** zIO / plain of the 99th percentile of the latency. */
  p99: Estimate;
  /** By contender. */
  cpuNs: Record<string, Spread>;
  perSecond: Record<string, Spread>;
  latencyNs: { p50: Record<string, Spread>; p99: Record<string, Spread>; p999: Record<string, Spread> };
  residentBytes: Record<string, Spread>;
  /** Of zIO, per operation. */
  elidedBytes: Spread;
  faults: Spread;
}

export const cpuNsOf = ({ cpuNs, operations }: Observation) => cpuNs / operations;
/** The counters cover what came before the timed part too. */
const counted = (name: string) => (sample: Observation) =>
  (sample.counters?.[name] ?? 0) / (sample.operations + sample.preparedOperations);

export function comparisonRow(cell: ObservedCell): ComparisonRow {
  const names = [...new Set(cell.samples.map(({ contender }) => contender))];
  const each = (value: (sample: Observation) => number): Record<string, Spread> =>
    Object.fromEntries(names.map((name) => [name, spread(byPair(cell, name).map(value))]));
  const plainP99 = byPair(cell, "plain").map(({ latencyNs }) => latencyNs.p99);
  const zio = byPair(cell, "zio");
  return {
    name: cell.name,
    ...ratiosToPlain(cell, cpuNsOf),
    p99: estimateMedian(zio.map(({ latencyNs }, pair) => latencyNs.p99 / plainP99[pair]!)),
    cpuNs: each(cpuNsOf),
    perSecond: each(({ operations, wallNs }) => (operations / wallNs) * 1e9),
    latencyNs: {
      p50: each(({ latencyNs }) => latencyNs.p50),
      p99: each(({ latencyNs }) => latencyNs.p99),
      p999: each(({ latencyNs }) => latencyNs.p999),
    },
    residentBytes: each(({ residentBytes }) => residentBytes),
    elidedBytes: spread(zio.map(counted("elidedBytes"))),
    faults: spread(zio.map(counted("faults"))),
  };
}

/** How a sample is to be taken. */
export interface SampleManner {
  verify: "all" | "sample";
  seed: number;
  cpus: CpuPair | undefined;
}

export interface Comparison<Settings, Row extends ComparisonRow> {
  name: string;
  options: CommonOptions;
  contenders: Contender[];
  cells: Cell<Settings>[];
  skipped?: { what: string; reason: string }[];
  sample(contender: Contender, settings: Settings, manner: SampleManner): Promise<Observation>;
  row(cell: ObservedCell<Settings>): Row;
  targets(rows: Row[]): Target[];
}

export async function runComparison<Settings, Row extends ComparisonRow>(
  comparison: Comparison<Settings, Row>,
  progress: Progress,
  command: string[],
): Promise<BenchRecord<Settings, Observation, Row>> {
  const { options, contenders, skipped = [] } = comparison;
  const cpus = options.cpus ?? chooseCpus();
  const head = recordHead(comparison.name, command, cpus);
  const started = performance.now();
  const cells = await measureInterleaved<Settings, Observation>({
    cells: comparison.cells,
    contenders,
    pairs: options.pairs,
    budgetSeconds: options.budgetSeconds,
    verify: async (contender, settings) => {
      await comparison.sample(contender, settings, { verify: "all", seed: 1, cpus });
    },
    sample: (contender, settings, pair) =>
      comparison.sample(contender, settings, { verify: "sample", seed: pair + 1, cpus }),
    progress,
  });
  const rows = cells.map(comparison.row);
  return {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options, pairs: pairsTaken(cells) },
    contenders: contenders.map(({ name, environment }) => ({ name, environment: portableEnvironment(environment) })),
    cells,
    rows,
    targets: comparison.targets(rows),
    ...(skipped.length > 0 && { skipped }),
  };
}

/** The row and the columns that a workload adds after the ratio. */
export type OwnColumn<Row> = [heading: string, cell: (row: Row) => string];

export function comparisonReport<Row extends ComparisonRow>(
  record: BenchRecord,
  title: string,
  own: OwnColumn<Row>[] = [],
): string {
  const rows = record.rows as Row[];
  const others = Object.keys(rows[0]?.others ?? {});
  const columns: OwnColumn<Row>[] = [
    ["what", ({ name }) => name],
    ["ratio (95 %)", ({ ratio }) => withInterval(ratio, 1, 2, "")],
    ...others.map((name): OwnColumn<Row> => [`plain / ${name}`, (row) => withInterval(row.others[name]!, 1, 2, "")]),
    ...own,
    ["plain us (IQR)", (row) => micros(row.cpuNs.plain!)],
    ["zIO us (IQR)", (row) => micros(row.cpuNs.zio!)],
    ["plain op/s", (row) => fixed(row.perSecond.plain!.median, 0)],
    ["zIO op/s", (row) => fixed(row.perSecond.zio!.median, 0)],
    ["p99, zIO / plain", ({ p99 }) => fixed(p99.median, 2)],
    ["elided KiB/op", (row) => fixed(row.elidedBytes.median / 1024, 1)],
    ["faults/op", (row) => fixed(row.faults.median, 2)],
  ];
  const table = renderTable(
    columns.map(([heading]) => heading),
    rows.map((row) => columns.map(([, cell]) => cell(row))),
  );
  const heading = `${title}, policy ${record.options.policy}: server CPU per operation, plain / zIO,`;
  return [heading, describeRun(record), "", table, "", ...targetLines(record)].join("\n");
}
