// What the workloads that sweep the echo server share: cells that differ in the server's settings, samples of plain and
// zIO, a row of common numbers for each cell, and the columns that every report shows.
import type { Command } from "commander";
import { type CommonOptions, commonDefaults, configureCommon, describeRun, targetLines } from "./common-options.js";
import { usualContenders } from "./contender.js";
import { type EchoOptions, type EchoSample, echoSample } from "./echo.js";
import { chooseCpus } from "./machine.js";
import { oneOfOption, wholeOption } from "./option-parsers.js";
import type { Progress } from "./progress.js";
import { type BenchRecord, portableEnvironment, type RecordedCell, recordHead, type Target } from "./record.js";
import { RemoteServer } from "./remote.js";
import type { Cell } from "./schedule.js";
import { type Estimate, estimateMedian, type Spread, spread } from "./statistics.js";
import { fixed, micros, renderTable, withInterval } from "./table.js";
import { byPair, measureInterleaved, pairsTaken } from "./workload.js";

export interface SweepOptions extends CommonOptions {
  /** Messages of one sample, after `warmup` messages. */
  messages: number;
  warmup: number;
  verifyMessages: number;
  /** HOST or HOST:PORT of `--role server`, where the server is to run. */
  connect?: string | undefined;
}

export const sweepDefaults: SweepOptions = { ...commonDefaults, messages: 1000, warmup: 200, verifyMessages: 100 };

/** The server's settings in one cell. */
export interface EchoSettings
  extends Pick<
    EchoOptions,
    "copies" | "messageBytes" | "touchedPages" | "touchedPercent" | "touchMode" | "touchOrder" | "inTurn"
  > {
  connections?: number;
  /** Of a sample, where not those of the options. */
  messages?: number;
  warmup?: number;
}

export type EchoCell<Settings = unknown> = RecordedCell<Settings, EchoSample>;

export interface BothSpreads {
  plain: Spread;
  zio: Spread;
}

export interface EchoRow {
  /** Plain / zIO server CPU time per message. */
  ratio: Estimate;
  /** The same of further contenders, by their name. */
  others: Record<string, Estimate>;
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

/** plain / zIO of a cost, and plain / each other contender. */
export function ratiosToPlain<Values>(
  cell: RecordedCell<unknown, Values>,
  cost: (values: Values) => number,
): { ratio: Estimate; others: Record<string, Estimate> } {
  const plainCosts = byPair(cell, "plain").map(cost);
  const ratioOf = (contender: string) => {
    const costs = byPair(cell, contender).map(cost);
    return estimateMedian(plainCosts.map((plain, pair) => plain / costs[pair]!));
  };
  const names = [...new Set(cell.samples.map(({ contender }) => contender))];
  const others = names.filter((name) => name !== "plain" && name !== "zio");
  return { ratio: ratioOf("zio"), others: Object.fromEntries(others.map((name) => [name, ratioOf(name)])) };
}

function bothSpreads(cell: EchoCell, value: (sample: EchoSample) => number): BothSpreads {
  return { plain: spread(byPair(cell, "plain").map(value)), zio: spread(byPair(cell, "zio").map(value)) };
}

/** Every number is formed within a pair, and the median is taken last. */
export function echoRow(cell: EchoCell): EchoRow {
  return {
    ...ratiosToPlain(cell, serverCpuNs),
    serverCpuNs: bothSpreads(cell, serverCpuNs),
    clientCpuNs: bothSpreads(cell, clientCpuNs),
    messagesPerSecond: bothSpreads(cell, ({ client }) => client.messagesPerSecond),
    latencyNs: bothSpreads(cell, ({ client }) => client.latencyNs.p50),
    elidedBytes: spread(byPair(cell, "zio").map(counted("elidedBytes"))),
    faults: spread(byPair(cell, "zio").map(counted("faults"))),
  };
}

/** By contender; of plain and zIO. */
export const echoCpu = ({ serverCpuNs: { plain, zio } }: EchoRow): Record<string, Spread> => ({ plain, zio });

/**
 * (plain_N - zIO_N) / (plain_N - plain_0): the share of what the copies of `cell` cost that zIO gives back, or whose
 * samples are given instead.
 */
export function recoveredShare(cell: EchoCell, withoutCopies: EchoCell, samples = byPair(cell, "zio")): Estimate {
  const zioNs = samples.map(serverCpuNs);
  const zeroNs = byPair(withoutCopies, "plain").map(serverCpuNs);
  const plainNs = byPair(cell, "plain").map(serverCpuNs);
  return estimateMedian(plainNs.map((ns, pair) => (ns - zioNs[pair]!) / (ns - zeroNs[pair]!)));
}

/** plain_N / plain_0: the ratio if the copies cost nothing at all. */
export function boundOf(cell: EchoCell, withoutCopies: EchoCell): Estimate {
  const zeroNs = byPair(withoutCopies, "plain").map(serverCpuNs);
  return estimateMedian(byPair(cell, "plain").map((sample, pair) => serverCpuNs(sample) / zeroNs[pair]!));
}

/** Declares the options that every sweep has. */
export function configureSweep(
  command: Command,
  defaults: Omit<SweepOptions, "messages"> & { messages: number | undefined },
): Command {
  return configureCommon(command, defaults)
    .option("--messages <n>", "messages of one sample", wholeOption, defaults.messages)
    .option("--warmup <n>", "messages before each sample", wholeOption, defaults.warmup)
    .option("--role <role>", "this end of two hosts: server, client", oneOfOption(["server", "client"] as const))
    .option("--listen <host:port>", "where --role server listens, with its echo servers", "127.0.0.1")
    .option("--connect <host:port>", "where --role server listens, for --role client");
}

export interface Sweep<Settings extends EchoSettings, Row> {
  name: string;
  options: SweepOptions;
  /** The ends are not pinned. */
  everyCpu?: boolean;
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
  const cpus = sweep.everyCpu ? undefined : (options.cpus ?? chooseCpus());
  const head = recordHead(sweep.name, command, cpus);
  const started = performance.now();
  const contenders = usualContenders(options);
  const remote = options.connect === undefined ? undefined : await RemoteServer.connect(options.connect);
  const cells = await measureInterleaved<Settings, EchoSample>({
    cells: sweep.cells,
    contenders,
    pairs: options.pairs,
    budgetSeconds: options.budgetSeconds,
    verify: async (contender, settings) => {
      const messages = Math.min(options.verifyMessages, settings.messages ?? options.verifyMessages);
      await echoSample(contender, {
        ...settings,
        cpus,
        remote,
        messages,
        warmup: 0,
        verify: "all",
        seed: settings.copies + 1,
      });
    },
    sample: (contender, settings, pair) =>
      echoSample(contender, {
        ...settings,
        cpus,
        remote,
        messages: settings.messages ?? options.messages,
        warmup: settings.warmup ?? options.warmup,
        verify: "sample",
        seed: pair + 1,
      }),
    progress,
  }).finally(() => remote?.close());
  const rows = sweep.rows(cells);
  return {
    ...head,
    ...(remote?.machine && { serverMachine: remote.machine }),
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options, pairs: pairsTaken(cells) },
    contenders: contenders.map(({ name, environment }) => ({ name, environment: portableEnvironment(environment) })),
    cells,
    rows,
    targets: sweep.targets(rows),
  };
}

/** The table and the targets as text: the sweep's own columns stand before and after the ratio. */
export function sweepReport<Row extends EchoRow>(
  record: BenchRecord,
  title: string,
  first: [heading: string, cell: (row: Row) => string],
  own: [heading: string, cell: (row: Row) => string][],
): string {
  const rows = record.rows as Row[];
  const others = Object.keys(rows[0]?.others ?? {});
  const columns: [string, (row: Row) => string][] = [
    first,
    ["ratio (95 %)", ({ ratio }) => withInterval(ratio, 1, 2, "")],
    ...others.map((name): [string, (row: Row) => string] => [
      `${name} ratio`,
      (row) => withInterval(row.others[name]!, 1, 2, ""),
    ]),
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
    rows.map((row) => columns.map(([, cell]) => cell(row))),
  );
  const heading = `${title}, policy ${record.options.policy}: server CPU per message, plain / zIO,`;
  return [heading, describeRun(record), "", table, "", ...targetLines(record)].join("\n");
}
