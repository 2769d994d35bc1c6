// What the workloads that sweep the echo server share: cells that differ in the server's settings, samples of plain and
// zIO, a row of common numbers for each cell, and the columns that every report shows.
import { type Command, Option } from "commander";
import { type Policy, plain, policies, zioContender } from "./contender.js";
import { type EchoSample, echoSample } from "./echo.js";
import { type CpuPair, chooseCpus } from "./machine.js";
import { cpuPairOption, oneOfOption, wholeOption } from "./option-parsers.js";
import type { Progress } from "./progress.js";
import { type BenchRecord, portableEnvironment, type RecordedCell, recordHead, type Target } from "./record.js";
import type { Cell } from "./schedule.js";
import { type Estimate, estimateMedian, type Spread, spread } from "./statistics.js";
import { renderTable } from "./table.js";
import { byPair, measureInterleaved } from "./workload.js";

export interface SweepOptions {
  /** Plain and zIO samples of each cell. */
  pairs: number;
  policy: Policy;
  /** Messages of one sample, after `warmup` messages. */
  messages: number;
  warmup: number;
  verifyMessages: number;
  cpus?: CpuPair | undefined;
}

export const sweepDefaults: SweepOptions = {
  pairs: 15,
  policy: "learn",
  messages: 1000,
  warmup: 200,
  verifyMessages: 100,
};

/** The server's settings in one cell. */
export interface EchoSettings {
  copies: number;
  messageBytes: number;
  /** Pages of the last copy that the server reads for each message. */
  touchedPages: number;
  /** Of a sample, where not those of the options. */
  messages?: number;
}

export type EchoCell<Settings = unknown> = RecordedCell<Settings, EchoSample>;

export interface BothSpreads {
  plain: Spread;
  zio: Spread;
}

export interface EchoRow {
  /** Plain / zIO server CPU time per message. */
  ratio: Estimate;
  serverCpuNs: BothSpreads;
  clientCpuNs: BothSpreads;
  messagesPerSecond: BothSpreads;
  /** Median round trip. */
  latencyNs: BothSpreads;
  /** Of zIO, per message. */
  elidedBytes: Spread;
  faults: Spread;
}

export const serverCpuNs = ({ server }: EchoSample) => server.cpuNs / server.messages;
const clientCpuNs = ({ client }: EchoSample) => client.cpuNs / client.received;
/** The counters cover the warm-up too. */
const counted = (name: string) => (sample: EchoSample) =>
  (sample.counters?.[name] ?? 0) / (sample.server.messages + sample.server.warmupMessages);

function bothSpreads(cell: EchoCell, value: (sample: EchoSample) => number): BothSpreads {
  return { plain: spread(byPair(cell, "plain").map(value)), zio: spread(byPair(cell, "zio").map(value)) };
}

/** Every number is formed within a pair, and the median is taken last. */
export function echoRow(cell: EchoCell): EchoRow {
  const zioNs = byPair(cell, "zio").map(serverCpuNs);
  return {
    ratio: estimateMedian(byPair(cell, "plain").map((sample, pair) => serverCpuNs(sample) / zioNs[pair]!)),
    serverCpuNs: bothSpreads(cell, serverCpuNs),
    clientCpuNs: bothSpreads(cell, clientCpuNs),
    messagesPerSecond: bothSpreads(cell, ({ client }) => client.messagesPerSecond),
    latencyNs: bothSpreads(cell, ({ client }) => client.latencyNs.p50),
    elidedBytes: spread(byPair(cell, "zio").map(counted("elidedBytes"))),
    faults: spread(byPair(cell, "zio").map(counted("faults"))),
  };
}

/** (plain_N - zIO_N) / (plain_N - plain_0): the share of what the copies of `cell` cost that zIO gives back. */
export function recoveredShare(cell: EchoCell, withoutCopies: EchoCell): Estimate {
  const zioNs = byPair(cell, "zio").map(serverCpuNs);
  const zeroNs = byPair(withoutCopies, "plain").map(serverCpuNs);
  const plainNs = byPair(cell, "plain").map(serverCpuNs);
  return estimateMedian(plainNs.map((ns, pair) => (ns - zioNs[pair]!) / (ns - zeroNs[pair]!)));
}

/** plain_N / plain_0: the ratio if the copies cost nothing at all. */
export function boundOf(cell: EchoCell, withoutCopies: EchoCell): Estimate {
  const zeroNs = byPair(withoutCopies, "plain").map(serverCpuNs);
  return estimateMedian(byPair(cell, "plain").map((sample, pair) => serverCpuNs(sample) / zeroNs[pair]!));
}

/** zIO / plain. */
export const inverse = ({ median, low, high }: Estimate): Estimate => ({
  median: 1 / median,
  low: 1 / high,
  high: 1 / low,
});

/** Declares the options that every sweep has. */
export function configureSweep(
  command: Command,
  defaults: Omit<SweepOptions, "messages"> & { messages: number | undefined },
): Command {
  return command
    .option("--pairs <n>", "interleaved pairs of samples", wholeOption, defaults.pairs)
    .option("--policy <policy>", `policy of zIO: ${policies.join(", ")}`, oneOfOption(policies), defaults.policy)
    .option("--messages <n>", "messages of one sample", wholeOption, defaults.messages)
    .option("--warmup <n>", "messages before each sample", wholeOption, defaults.warmup)
    .addOption(
      new Option("--cpus <server,client>", "cores of the two ends (chosen from the allowed ones)").argParser(
        cpuPairOption,
      ),
    );
}

export interface Sweep<Settings extends EchoSettings, Row> {
  name: string;
  options: SweepOptions;
  cells: Cell<Settings>[];
  /** Forms the rows from the cells, which come in the order given. */
  rows(cells: EchoCell<Settings>[]): Row[];
  targets(rows: Row[]): Target[];
}

export async function runSweep<Settings extends EchoSettings, Row>(
  sweep: Sweep<Settings, Row>,
  progress: Progress,
  command: string[],
): Promise<BenchRecord<Settings, EchoSample, Row>> {
  const { options } = sweep;
  const cpus = options.cpus ?? chooseCpus();
  const head = recordHead(sweep.name, command, cpus);
  const started = performance.now();
  const contenders = [plain, zioContender(options.policy)];
  const cells = await measureInterleaved<Settings, EchoSample>({
    cells: sweep.cells,
    contenders,
    pairs: options.pairs,
    verify: async (contender, settings) => {
      const messages = Math.min(options.verifyMessages, settings.messages ?? options.verifyMessages);
      await echoSample(contender, { ...settings, cpus, messages, warmup: 0, verify: "all", seed: settings.copies + 1 });
    },
    sample: (contender, settings, pair) =>
      echoSample(contender, {
        ...settings,
        cpus,
        messages: settings.messages ?? options.messages,
        warmup: options.warmup,
        verify: "sample",
        seed: pair + 1,
      }),
    progress,
  });
  const rows = sweep.rows(cells);
  return {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options },
    contenders: contenders.map(({ name, environment }) => ({ name, environment: portableEnvironment(environment) })),
    cells,
    rows,
    targets: sweep.targets(rows),
  };
}

const fixed = (value: number, digits: number) => value.toFixed(digits);
export const withInterval = ({ median, low, high }: Estimate, scale: number, digits: number, unit: string) =>
  `${fixed(median * scale, digits)}${unit} (${fixed(low * scale, digits)}-${fixed(high * scale, digits)})`;
const micros = ({ median, iqr }: Spread) => `${fixed(median / 1000, 1)} (${fixed(iqr / 1000, 1)})`;

/** The table and the targets as text: the sweep's own columns stand before and after the ratio. */
export function sweepReport<Row extends EchoRow>(
  record: BenchRecord,
  title: string,
  first: [heading: string, cell: (row: Row) => string],
  own: [heading: string, cell: (row: Row) => string][],
): string {
  const { options, machine, targets } = record;
  const columns: [string, (row: Row) => string][] = [
    first,
    ["ratio (95 %)", ({ ratio }) => withInterval(ratio, 1, 2, "")],
    ...own,
    ["plain us (IQR)", (row) => micros(row.serverCpuNs.plain)],
    ["zIO us (IQR)", (row) => micros(row.serverCpuNs.zio)],
    ["plain msg/s", (row) => fixed(row.messagesPerSecond.plain.median, 0)],
    ["zIO msg/s", (row) => fixed(row.messagesPerSecond.zio.median, 0)],
    ["elided KiB/msg", (row) => fixed(row.elidedBytes.median / 1024, 0)],
    ["faults/msg", (row) => fixed(row.faults.median, 2)],
  ];
  const table = renderTable(
    columns.map(([heading]) => heading),
    (record.rows as Row[]).map((row) => columns.map(([, cell]) => cell(row))),
  );
  const reached = targets.map(({ what, relation, bound, measured, met }) => {
    const sign = relation === "at-least" ? ">=" : "<=";
    return `${met ? "met    " : "not met"}  ${what} ${sign} ${bound}: ${withInterval(measured, 1, 3, "")}`;
  });
  return [
    `${title}, policy ${options.policy}: server CPU per message, plain / zIO,`,
    `medians of ${options.pairs} interleaved pairs; ${machine.cpuModel}, ${machine.cores} cores, Linux ${machine.kernel}`,
    "",
    table,
    "",
    ...reached,
  ].join("\n");
}
