// `small`: servers whose data are too small for zIO: Redis and memcached with values of 64 B to 4 KiB, nginx with files
// of 1 KiB. They must not notice it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { BenchError } from "../bench-error.js";
import { type CommonOptions, commonDefaults, configureCommon } from "../common-options.js";
import {
  type ComparisonRow,
  comparisonReport,
  comparisonRow,
  runComparison,
  type SampleManner,
} from "../comparison.js";
import { type Contender, usualContenders } from "../contender.js";
import { cpuFigure } from "../figure.js";
import { loadSample, type Observation } from "../load.js";
import { sizesOption, wholeOption, wordsOption } from "../option-parsers.js";
import { requireProgram } from "../programs.js";
import type { Progress } from "../progress.js";
import { type BenchRecord, target } from "../record.js";
import { inverse } from "../statistics.js";
import type { Workload } from "../workload.js";
import { redisCommand } from "./redis.js";

const servers = ["redis", "memcached", "nginx"] as const;
type SmallServer = (typeof servers)[number];
const programs: Record<SmallServer, [program: string, debianPackage: string]> = {
  redis: ["redis-server", "redis-server"],
  memcached: ["memcached", "memcached"],
  nginx: ["nginx", "nginx"],
};

const fileBytes = 1024;

export interface SmallOptions extends CommonOptions {
  servers: SmallServer[];
  /** Of Redis and memcached. */
  valueBytes: number[];
  operations: number;
}

export interface SmallSettings {
  server: SmallServer;
  valueBytes: number;
}

export type SmallRecord = BenchRecord<SmallSettings, Observation, ComparisonRow>;

const defaults: SmallOptions = {
  ...commonDefaults,
  servers: [...servers],
  valueBytes: [64, 1024, 4096],
  operations: 10_000,
};

function configure(command: Command): Command {
  command
    .addOption(
      new Option("--servers <list>", "redis, memcached, nginx")
        .argParser(wordsOption(servers))
        .default(defaults.servers, "redis,memcached,nginx"),
    )
    .addOption(
      new Option("--value-bytes <list>", "sizes of values")
        .argParser(sizesOption)
        .default(defaults.valueBytes, "64,1K,4K"),
    )
    .option("--operations <n>", "operations of one sample", wholeOption, defaults.operations);
  return configureCommon(command, defaults);
}

/** One process that serves the directory, so that its CPU time is all there is. */
function nginxConfiguration(directory: string, port: number): string {
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return [
    `daemon off; master_process off; pid "${directory}/pid"; error_log /dev/null;`,
    "events { }",
    `http { access_log off; keepalive_requests 1000000; ${places.map((name) => `${name}_temp_path "${directory}";`).join(" ")}`,
    `server { listen 127.0.0.1:${port}; root "${directory}"; } }`,
  ].join("\n");
}

function serverCommand(settings: SmallSettings, directory: string, port: number): unknown[] {
  const [program, debianPackage] = programs[settings.server];
  const path = requireProgram(program, debianPackage);
  if (settings.server === "redis") return [...redisCommand(path, port), "--dir", directory];
  if (settings.server === "memcached")
    return [path, "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", 1, ...(process.getuid?.() === 0 ? ["-u", "root"] : [])];
  writeFileSync(join(directory, "nginx.conf"), nginxConfiguration(directory, port));
  return [path, "-p", directory, "-e", "/dev/null", "-c", join(directory, "nginx.conf")];
}

async function sample(
  contender: Contender,
  settings: SmallSettings,
  manner: SampleManner,
  operations: number,
): Promise<Observation> {
  const directory = mkdtempSync(join(tmpdir(), "zio-bench-small-"));
  const file = join(directory, "file.bin");
  const { server, valueBytes } = settings;
  try {
    writeFileSync(file, Buffer.from(Array.from({ length: valueBytes }, (_, at) => (at * 31) % 251)));
    const keyed = ["--protocol", server, "--keys", 100, "--writes", 50];
    return await loadSample(contender, {
      server: (port) => serverCommand(settings, directory, port),
      load: [
        ...["--value", valueBytes, "--operations", operations, "--warmup", Math.ceil(operations / 10)],
        ...(server === "nginx" ? ["--protocol", "http", "--path", "/file.bin", "--content", file] : keyed),
      ],
      ...manner,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The servers that are installed, and why the others are not among them. */
function installed(wanted: readonly SmallServer[]): [SmallServer[], { what: string; reason: string }[]] {
  const skipped: { what: string; reason: string }[] = [];
  const found = wanted.filter((server) => {
    try {
      return requireProgram(...programs[server]);
    } catch (error) {
      skipped.push({ what: server, reason: (error as Error).message });
      return false;
    }
  });
  if (found.length === 0) throw new BenchError("missing-program", skipped.map(({ reason }) => reason).join("; "));
  return [found, skipped];
}

async function run(options: SmallOptions, progress: Progress, command: string[]): Promise<SmallRecord> {
  const [found, skipped] = installed(options.servers);
  const settings = found.flatMap((server) =>
    (server === "nginx" ? [fileBytes] : options.valueBytes).map((valueBytes) => ({ server, valueBytes })),
  );
  return runComparison<SmallSettings, ComparisonRow>(
    {
      name: "small",
      options,
      contenders: usualContenders(options),
      cells: settings.map((parameters) => ({
        name: `${parameters.server}, ${parameters.valueBytes} B`,
        parameters,
      })),
      skipped,
      sample: (contender, parameters, manner) => sample(contender, parameters, manner, options.operations),
      row: comparisonRow,
      targets: (rows) =>
        rows.map(({ name, ratio }) =>
          target(`CPU per operation of ${name}, zIO / plain`, "at-most", 1.015, inverse(ratio)),
        ),
    },
    progress,
    command,
  );
}

export const small: Workload<SmallOptions> = {
  name: "small",
  summary: "Redis and memcached with values of 64 B to 4 KiB, nginx with files of 1 KiB",
  defaults,
  overview: { valueBytes: [1024] },
  configure,
  run,
  report: (record) => comparisonReport(record, "servers of small data"),
  figure: (record) =>
    cpuFigure(
      "servers of small data",
      record.rows as ComparisonRow[],
      ({ name }) => name,
      ({ cpuNs }) => cpuNs,
    ),
};
