// `grpc`: an echo of 256 KiB in C++, with Debian's gRPC and protobuf, which copy each message between their own buffers.
// What those copies cost is measured beside it: the same server under a library that leaves them out.
import { type Command, Option } from "commander";
import { type CommonOptions, commonDefaults, configureCommon } from "../common-options.js";
import {
  type ComparisonRow,
  comparisonReport,
  comparisonRow,
  cpuNsOf,
  type ObservedCell,
  runComparison,
  type SampleManner,
} from "../comparison.js";
import { type Contender, usualContenders } from "../contender.js";
import { cpuFigure } from "../figure.js";
import { type GrpcPrograms, grpcPrograms } from "../grpc-programs.js";
import { loadSample, type Observation } from "../load.js";
import { sizeOption, wholeOption } from "../option-parsers.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, target } from "../record.js";
import { type Estimate, estimateMedian } from "../statistics.js";
import { kibibytes, withInterval } from "../table.js";
import { byPair, type Workload } from "../workload.js";

/** The contender whose copies do not happen. */
const bound = "no copies";

export interface GrpcOptions extends CommonOptions {
  messageBytes: number;
  messages: number;
}

export interface GrpcSettings {
  messageBytes: number;
}

export interface GrpcRow extends ComparisonRow {
  /** (plain - zIO) / (plain - no copies). */
  recovered: Estimate;
}

export type GrpcRecord = BenchRecord<GrpcSettings, Observation, GrpcRow>;

const defaults: GrpcOptions = { ...commonDefaults, messageBytes: 256 << 10, messages: 500 };

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--message-bytes <size>", "of a message").argParser(sizeOption).default(defaults.messageBytes, "256K"),
    )
    .option("--messages <n>", "messages of one sample", wholeOption, defaults.messages);
  return configureCommon(command, defaults);
}

function sample(
  contender: Contender,
  { messageBytes }: GrpcSettings,
  manner: SampleManner,
  messages: number,
  { echo }: GrpcPrograms,
): Promise<Observation> {
  const count = manner.verify === "all" ? Math.min(50, messages) : messages;
  const verify = contender.name === bound ? "none" : manner.verify;
  return loadSample(contender, {
    ...manner,
    server: () => [echo, "server"],
    printsPort: true,
    client: (port, pid) => {
      return [echo, "client", port, messageBytes, count, Math.ceil(count / 5), pid, verify, manner.seed];
    },
  });
}

function rowOf(cell: ObservedCell<GrpcSettings>): GrpcRow {
  const [plainNs, zioNs, boundNs] = ["plain", "zio", bound].map((name) => byPair(cell, name).map(cpuNsOf));
  const shares = plainNs!.map((ns, pair) => (ns - zioNs![pair]!) / (ns - boundNs![pair]!));
  return { ...comparisonRow(cell), recovered: estimateMedian(shares) };
}

async function run(options: GrpcOptions, progress: Progress, command: string[]): Promise<GrpcRecord> {
  progress.step("compiling, where that is still to be done");
  const programs = grpcPrograms();
  const withoutCopies = { name: bound, environment: { LD_PRELOAD: programs.freeCopies }, counts: false };
  return runComparison<GrpcSettings, GrpcRow>(
    {
      name: "grpc",
      options,
      contenders: [...usualContenders(options), withoutCopies],
      cells: [
        { name: `messages of ${kibibytes(options.messageBytes)}`, parameters: { messageBytes: options.messageBytes } },
      ],
      sample: (contender, settings, manner) => sample(contender, settings, manner, options.messages, programs),
      row: rowOf,
      targets: (rows) =>
        rows.map(({ name, recovered }) =>
          target(`share of the copies' cost recovered with ${name}`, "at-least", 0.5, recovered),
        ),
    },
    progress,
    command,
  );
}

export const grpc: Workload<GrpcOptions> = {
  name: "grpc",
  summary: "an echo of 256 KiB in C++ by gRPC, beside the same without its copies",
  defaults,
  overview: { messages: 200 },
  configure,
  run,
  report: (record) =>
    comparisonReport<GrpcRow>(record, "gRPC echo", [
      ["recovered (95 %)", ({ recovered }) => withInterval(recovered, 100, 0, " %")],
    ]),
  figure: (record) =>
    cpuFigure(
      "gRPC echo",
      record.rows as GrpcRow[],
      ({ name }) => name,
      ({ cpuNs }) => cpuNs,
    ),
};
