// `copies`: a server receives 512 KiB, copies it N times from buffer to buffer and sends the last copy back. What matters
// is the server's CPU time per message, the thread of zIO included, and how much of what the copies cost comes back.
import { type Command, Option } from "commander";
import { type Policy, plain, policies, zioContender } from "../contender.js";
import { type EchoSample, echoSample } from "../echo.js";
import { type CpuPair, chooseCpus } from "../machine.js";
import { cpuPairOption, naturalsOption, oneOfOption, sizeOption, wholeOption } from "../option-parsers.js";
import {
  type BenchRecord,
  portableEnvironment,
  type RecordedCell,
  recordHead,
  type Target,
  target,
} from "../record.js";
import { type Estimate, estimateMedian, type Spread, spread } from "../statistics.js";
import { renderTable } from "../table.js";
import { byPair, measureInterleaved, type Workload } from "../workload.js";

export interface CopiesOptions {
  /** Numbers of copies to measure; 0 is always among them, because the others are judged by it. */
  copies: number[];
  /** Plain and zIO samples of each number of copies. */
  pairs: number;
  policy: Policy;
  messageBytes: number;
  /** Messages of one sample, after `warmup` messages. */
  messages: number;
  warmup: number;
  verifyMessages: number;
  cpus?: CpuPair | undefined;
}

export interface CopiesParameters {
  copies: number;
}

export interface CopiesRow {
  copies: number;
  /** Plain / zIO server CPU time per message. */
  ratio: Estimate;
  /** (plain_N - zIO_N) / (plain_N - plain_0); null at 0 copies. */
  recovered: Estimate | null;
  /** plain_N / plain_0: the ratio if the copies cost nothing at all. */
  bound: Estimate;
  serverCpuNs: { plain: Spread; zio: Spread };
  clientCpuNs: { plain: Spread; zio: Spread };
  messagesPerSecond: { plain: Spread; zio: Spread };
  /** Median round trip. */
  latencyNs: { plain: Spread; zio: Spread };
  /** Of zIO, per message. */
  elidedBytes: Spread;
  faults: Spread;
}

export type CopiesRecord = BenchRecord<CopiesParameters, EchoSample, CopiesRow>;

const defaults: CopiesOptions = {
  copies: [0, 1, 2, 4, 8, 12],
  pairs: 15,
  policy: "learn",
  messageBytes: 512 << 10,
  messages: 1000,
  warmup: 200,
  verifyMessages: 100,
};

const serverCpuNs = ({ server }: EchoSample) => server.cpuNs / server.messages;
const clientCpuNs = ({ client }: EchoSample) => client.cpuNs / client.received;
/** The counters cover the warm-up too. */
const counted = (name: string) => (sample: EchoSample) =>
  (sample.counters?.[name] ?? 0) / (sample.server.messages + sample.server.warmupMessages);

function bothSpreads(cell: RecordedCell<CopiesParameters, EchoSample>, value: (sample: EchoSample) => number) {
  return { plain: spread(byPair(cell, "plain").map(value)), zio: spread(byPair(cell, "zio").map(value)) };
}

/** Every number is formed within a pair, and the median is taken last. */
export function copiesRow(
  cell: RecordedCell<CopiesParameters, EchoSample>,
  baseline: RecordedCell<CopiesParameters, EchoSample>,
): CopiesRow {
  const plainNs = byPair(cell, "plain").map(serverCpuNs);
  const zioNs = byPair(cell, "zio").map(serverCpuNs);
  const zeroNs = byPair(baseline, "plain").map(serverCpuNs);
  const { copies } = cell.parameters;
  const recovered = plainNs.map((ns, pair) => (ns - zioNs[pair]!) / (ns - zeroNs[pair]!));
  return {
    copies,
    ratio: estimateMedian(plainNs.map((ns, pair) => ns / zioNs[pair]!)),
    recovered: copies === 0 ? null : estimateMedian(recovered),
    bound: estimateMedian(plainNs.map((ns, pair) => ns / zeroNs[pair]!)),
    serverCpuNs: bothSpreads(cell, serverCpuNs),
    clientCpuNs: bothSpreads(cell, clientCpuNs),
    messagesPerSecond: bothSpreads(cell, ({ client }) => client.messagesPerSecond),
    latencyNs: bothSpreads(cell, ({ client }) => client.latencyNs.p50),
    elidedBytes: spread(byPair(cell, "zio").map(counted("elidedBytes"))),
    faults: spread(byPair(cell, "zio").map(counted("faults"))),
  };
}

const inverse = ({ median, low, high }: Estimate): Estimate => ({ median: 1 / median, low: 1 / high, high: 1 / low });

export function copiesTargets(rows: readonly CopiesRow[]): Target[] {
  return rows.flatMap((row) => {
    if (!row.recovered)
      return [target("CPU per message at 0 copies, zIO / plain", "at-most", 1.03, inverse(row.ratio))];
    const share = target(`share of the copies' cost recovered at ${row.copies}`, "at-least", 0.8, row.recovered);
    if (row.copies !== 8) return [share];
    return [target("CPU per message at 8 copies, plain / zIO", "at-least", 1.6, row.ratio), share];
  });
}

function configure(command: Command): Command {
  return command
    .addOption(
      new Option("--copies <list>", "numbers of copies")
        .argParser(naturalsOption)
        .default(defaults.copies, "0,1,2,4,8,12"),
    )
    .option("--pairs <n>", "interleaved pairs of samples", wholeOption, defaults.pairs)
    .option("--policy <policy>", `policy of zIO: ${policies.join(", ")}`, oneOfOption(policies), defaults.policy)
    .addOption(
      new Option("--message-bytes <size>", "of a message").argParser(sizeOption).default(defaults.messageBytes, "512K"),
    )
    .option("--messages <n>", "messages of one sample", wholeOption, defaults.messages)
    .option("--warmup <n>", "messages before each sample", wholeOption, defaults.warmup)
    .option("--cpus <server,client>", "cores of the two ends (chosen from the allowed ones)", cpuPairOption);
}

async function run(options: CopiesOptions, progress: Parameters<Workload<CopiesOptions>["run"]>[1], command: string[]) {
  const cpus = options.cpus ?? chooseCpus();
  const head = recordHead("copies", command, cpus);
  const started = performance.now();
  const counts = [...new Set([0, ...options.copies])].sort((left, right) => left - right);
  const contenders = [plain, zioContender(options.policy)];
  const echo = { messageBytes: options.messageBytes, warmup: options.warmup, cpus };
  const cells = await measureInterleaved<CopiesParameters, EchoSample>({
    cells: counts.map((copies) => ({ name: `${copies} copies`, parameters: { copies } })),
    contenders,
    pairs: options.pairs,
    verify: async (contender, { copies }) => {
      const messages = options.verifyMessages;
      await echoSample(contender, { ...echo, copies, messages, warmup: 0, verify: "all", seed: copies + 1 });
    },
    sample: (contender, { copies }, pair) =>
      echoSample(contender, { ...echo, copies, messages: options.messages, verify: "sample", seed: pair + 1 }),
    progress,
  });
  const rows = cells.map((cell) => copiesRow(cell, cells[0]!));
  const record: CopiesRecord = {
    ...head,
    seconds: Math.round(performance.now() - started) / 1000,
    options: { ...options },
    contenders: contenders.map(({ name, environment }) => ({ name, environment: portableEnvironment(environment) })),
    cells,
    rows,
    targets: copiesTargets(rows),
  };
  return record;
}

const fixed = (value: number, digits: number) => value.toFixed(digits);
const withInterval = ({ median, low, high }: Estimate, scale: number, digits: number, unit: string) =>
  `${fixed(median * scale, digits)}${unit} (${fixed(low * scale, digits)}-${fixed(high * scale, digits)})`;
const micros = ({ median, iqr }: Spread) => `${fixed(median / 1000, 1)} (${fixed(iqr / 1000, 1)})`;

function report(record: BenchRecord): string {
  const { rows, targets, options, machine } = record as CopiesRecord;
  const headings = ["copies", "ratio (95 %)", "recovered (95 %)", "bound", "plain us (IQR)", "zIO us (IQR)"];
  const table = renderTable(
    [...headings, "plain msg/s", "zIO msg/s", "elided KiB/msg", "faults/msg"],
    rows.map((row) => [
      String(row.copies),
      withInterval(row.ratio, 1, 2, ""),
      row.recovered ? withInterval(row.recovered, 100, 0, " %") : "",
      fixed(row.bound.median, 2),
      micros(row.serverCpuNs.plain),
      micros(row.serverCpuNs.zio),
      fixed(row.messagesPerSecond.plain.median, 0),
      fixed(row.messagesPerSecond.zio.median, 0),
      fixed(row.elidedBytes.median / 1024, 0),
      fixed(row.faults.median, 2),
    ]),
  );
  const reached = targets.map(({ what, relation, bound, measured, met }) => {
    const sign = relation === "at-least" ? ">=" : "<=";
    return `${met ? "met    " : "not met"}  ${what} ${sign} ${bound}: ${withInterval(measured, 1, 3, "")}`;
  });
  return [
    `echo of ${Number(options.messageBytes) / 1024} KiB, policy ${options.policy}: server CPU per message, plain / zIO,`,
    `medians of ${options.pairs} interleaved pairs; ${machine.cpuModel}, ${machine.cores} cores, Linux ${machine.kernel}`,
    "",
    table,
    "",
    ...reached,
  ].join("\n");
}

export const copies: Workload<CopiesOptions> = {
  name: "copies",
  summary: "an echo server that copies each message 0 to 12 times",
  defaults,
  configure,
  run,
  report,
};
