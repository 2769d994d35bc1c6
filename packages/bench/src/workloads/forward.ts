// `python` and `node`: unmodified socket servers in two languages whose runtimes copy what they join and slice. Each
// message of 512 KiB comes in two parts that are put together, loses its header, and is forwarded.
import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { type CommonOptions, commonDefaults, configureCommon } from "../common-options.js";
import {
  type ComparisonRow,
  comparisonReport,
  comparisonRow,
  runComparison,
  type SampleManner,
} from "../comparison.js";
import { type Contender, usualContenders } from "../contender.js";
import { type EchoSample, echoSample } from "../echo.js";
import { cpuFigure } from "../figure.js";
import type { Observation } from "../load.js";
import { sizeOption, wholeOption } from "../option-parsers.js";
import { requireProgram, serverScript } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, target } from "../record.js";
import { kibibytes } from "../table.js";
import type { Workload } from "../workload.js";

export interface ForwardOptions extends CommonOptions {
  messageBytes: number;
  messages: number;
  warmup: number;
  /** The interpreter; Debian's python3 and the Node that runs this unless told. */
  interpreter?: string | undefined;
}

export type ForwardRecord = BenchRecord<{ messageBytes: number }, Observation, ComparisonRow>;

const defaults: ForwardOptions = { ...commonDefaults, messageBytes: 512 << 10, messages: 500, warmup: 100 };

interface Language {
  name: "python" | "node";
  summary: string;
  script: string;
  interpreter(): string;
  /** What takes part besides plain and zIO. */
  others: Contender[];
  /** At least this ratio is to be reached. */
  ratio?: number;
}

/** Plain without the churn: no block of this size goes back to the kernel when it is freed. */
const keepingMemory: Contender = {
  name: "keeping memory",
  environment: { MALLOC_TRIM_THRESHOLD_: `${1 << 30}`, MALLOC_MMAP_THRESHOLD_: `${32 << 20}` },
  counts: false,
};

const python: Language = {
  name: "python",
  summary: "a Python server that joins, slices and forwards messages of 512 KiB",
  script: "forward.py",
  // Debian's own first: others may bring an allocator along, or be scripts that look for one.
  interpreter: () => (existsSync("/usr/bin/python3") ? "/usr/bin/python3" : requireProgram("python3", "python3")),
  others: [keepingMemory],
  ratio: 1.3,
};

const node: Language = {
  name: "node",
  summary: "a Node.js server that joins, slices and forwards messages of 512 KiB",
  script: "forward.mjs",
  interpreter: () => process.execPath,
  others: [],
};

function observationOf({ server, client, counters }: EchoSample): Observation {
  return {
    operations: server.messages,
    preparedOperations: server.warmupMessages,
    cpuNs: server.cpuNs,
    clientCpuNs: client.cpuNs,
    wallNs: client.wallNs,
    latencyNs: client.latencyNs,
    residentBytes: 0,
    counters,
  };
}

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--message-bytes <size>", "of a message").argParser(sizeOption).default(defaults.messageBytes, "512K"),
    )
    .option("--messages <n>", "messages of one sample", wholeOption, defaults.messages)
    .option("--warmup <n>", "messages before each sample", wholeOption, defaults.warmup)
    .option("--interpreter <path>", "another interpreter");
  return configureCommon(command, defaults);
}

function workloadOf(language: Language): Workload<ForwardOptions> {
  const script = serverScript(language.script);
  const run = (options: ForwardOptions, progress: Progress, command: string[]): Promise<ForwardRecord> => {
    const server = [options.interpreter ?? language.interpreter(), script];
    const sample = async (contender: Contender, settings: { messageBytes: number }, manner: SampleManner) => {
      const few = manner.verify === "all";
      const messages = few ? Math.min(50, options.messages) : options.messages;
      const common = { ...manner, ...settings, copies: 0, messages, warmup: few ? 0 : options.warmup };
      return observationOf(await echoSample(contender, { ...common, server }));
    };
    return runComparison<{ messageBytes: number }, ComparisonRow>(
      {
        name: language.name,
        options,
        contenders: [...usualContenders(options), ...language.others],
        cells: [
          {
            name: `messages of ${kibibytes(options.messageBytes)}`,
            parameters: { messageBytes: options.messageBytes },
          },
        ],
        sample,
        row: comparisonRow,
        targets: (rows) =>
          rows.flatMap(({ name, ratio }) =>
            language.ratio === undefined
              ? []
              : [target(`CPU per message of ${name}, plain / zIO`, "at-least", language.ratio, ratio)],
          ),
      },
      progress,
      command,
    );
  };
  return {
    name: language.name,
    summary: language.summary,
    defaults,
    overview: { messages: 200, warmup: 50 },
    configure,
    run,
    report: (record) => comparisonReport(record, `${language.name}: join, slice, forward`),
    figure: (record) =>
      cpuFigure(
        `${language.name}: join, slice, forward`,
        record.rows as ComparisonRow[],
        ({ name }) => name,
        ({ cpuNs }) => cpuNs,
      ),
  };
}

export const pythonForward = workloadOf(python);
export const nodeForward = workloadOf(node);
