// `zio nvm`: pools by hand. Answers go to standard output, `--json` for programs; what is wrong is one line on standard error.
import { ZioError } from "@zio/core";
import { Command, InvalidArgumentError } from "commander";
import { inspectPool, type PoolReport, salvagePool } from "./inspect.js";
import type { Medium, PoolStats } from "./native-types.js";
import { createPool, Pool } from "./pool.js";

const jsonVersion = 1;
const units: Record<string, number> = { "": 0, K: 10, M: 20, G: 30, T: 40 };

function sizeOption(text: string): number {
  const [, digits, unit] = /^(\d+)([KMGT]?)i?B?$/.exec(text) ?? [];
  const bytes = Number(digits) * 2 ** (units[unit ?? ""] ?? 0);
  if (digits === undefined || !Number.isSafeInteger(bytes) || bytes === 0)
    throw new InvalidArgumentError("A size such as 512M or 1G is needed.");
  return Math.ceil(bytes / 4096) * 4096;
}

function wholeOption(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("A whole number is needed.");
  return Number(text);
}

function answer(text: string): void {
  process.stdout.write(`${text}\n`);
}

function answerJson(value: object): void {
  answer(JSON.stringify({ version: jsonVersion, ...value }));
}

async function orComplain(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    const isSystem = error instanceof Error && "syscall" in error && "path" in error;
    if (!(error instanceof ZioError) && !isSystem && !(error instanceof RangeError)) throw error;
    process.stderr.write(`zio nvm: ${error.message}\n`);
    process.exitCode = 1;
  }
}

const media: Record<Medium, string> = {
  dax: "persistent memory; survives power cuts",
  disk: "an ordinary file; survives power cuts",
  dram: "DRAM: IT DOES NOT SURVIVE A POWER CUT OR A RESTART OF THE MACHINE",
};

function share(used: number, all: number): string {
  return `${used} of ${all} bytes (${((100 * used) / all).toFixed(1)} %)`;
}

function describeStats(stats: PoolStats): string[] {
  return [
    `uuid       ${stats.uuid}`,
    `format     ${stats.formatVersion}${stats.checksumsData ? ", with checksums of the data" : ""}`,
    `medium     ${media[stats.medium]} (${stats.flush})`,
    `size       ${stats.sizeBytes} bytes`,
    `log        ${share(stats.ringUsedBytes, stats.ringBytes)}, at offset ${stats.ringOffset}`,
    `data       ${share(stats.dataBytes - stats.dataFreeBytes, stats.dataBytes)}, at offset ${stats.dataOffset}`,
    `files      ${stats.files} of ${stats.fileSlots}`,
  ];
}

function describeState({ recovery, records, bytes, damage }: PoolReport): string[] {
  const lines: string[] = [];
  if (recovery.wasClean) lines.push("state      closed; nothing is to be applied");
  else if (recovery.sameBoot) lines.push("state      not closed: its process died; every completed write counts");
  else lines.push("state      not closed before the machine went down; what was synced counts");
  if (records > 0) lines.push(`to apply   ${records} writes, ${bytes} bytes`);
  if (recovery.droppedRecords > 0) lines.push(`dropped    ${recovery.droppedRecords} records that were not synced`);
  if (recovery.repairedCopies > 0)
    lines.push(`copies     ${recovery.repairedCopies} damaged, of which another copy is good`);
  if (damage) lines.push(`damage     ${damage.message}`);
  return lines;
}

function describeFiles({ files }: PoolReport): string[] {
  return files.map(({ path, sizeBytes, ranges, salvaged }) => {
    const logged = ranges.reduce((sum, [, length]) => sum + length, 0);
    return `  ${path}: ${sizeBytes} bytes, ${logged} in the log${salvaged ? `; salvaged to ${salvaged}` : ""}`;
  });
}

function answerReport(report: PoolReport, json: boolean | undefined): void {
  if (json) answerJson(report);
  else answer([...describeStats(report.stats), ...describeState(report), ...describeFiles(report)].join("\n"));
}

/** Opening recovers, closing digests. */
async function recover(path: string, acceptChanged: boolean, json: boolean | undefined): Promise<void> {
  const pool = await Pool.open(path, { acceptChanged });
  const { recovery } = pool;
  await pool.close();
  if (json) answerJson({ recovery });
  else
    answer(recovery.wasClean ? "nothing was to be recovered" : `${recovery.records} writes, ${recovery.bytes} bytes`);
}

export const command = new Command("nvm").description("make, inspect and recover pools in persistent memory");

interface CreateWords {
  size: number;
  logSize?: number;
  files?: number;
  checksum?: boolean;
  json?: boolean;
}

command
  .command("create <pool>")
  .description("make a pool, with all of its space allocated")
  .option("--size <size>", "of the pool, such as 512M", sizeOption, 2 ** 30)
  .option("--log-size <size>", "of the part for the log; a quarter of the pool unless told", sizeOption)
  .option("--files <n>", "that can be under the log at a time", wholeOption)
  .option("--checksum", "keep checksums of the data too")
  .option("--json", "for programs")
  .action((path: string, { size, logSize, files, checksum, json }: CreateWords) =>
    orComplain(async () => {
      await createPool(path, {
        sizeBytes: size,
        ...(logSize !== undefined && { ringBytes: logSize }),
        ...(files !== undefined && { files }),
        checksumData: checksum ?? false,
      });
      const { stats } = await inspectPool(path);
      if (json) answerJson({ stats });
      else answer(describeStats(stats).join("\n"));
      if (stats.medium === "dram") process.stderr.write(`zio nvm: ${path} is in ${media.dram}\n`);
    }),
  );

interface LookWords {
  json?: boolean;
}

command
  .command("inspect <pool>")
  .description("show what is in a pool that nobody has open")
  .option("--json", "for programs")
  .action((path: string, { json }: LookWords) => orComplain(async () => answerReport(await inspectPool(path), json)));

command
  .command("check <pool>")
  .description("verify a pool that nobody has open; status 1 where it is damaged")
  .option("--json", "for programs")
  .action((path: string, { json }: LookWords) =>
    orComplain(async () => {
      const report = await inspectPool(path);
      if (report.damage) process.exitCode = 1;
      if (json) answerJson(report);
      else answer(report.damage ? report.damage.message : describeState(report).join("\n"));
    }),
  );

interface RecoverWords extends LookWords {
  salvage?: string;
  acceptChanged?: boolean;
}

command
  .command("recover <pool>")
  .description("apply what a pool holds that was not closed to its files")
  .option("--accept-changed", "also to files that were changed since; let go of files that are gone")
  .option("--salvage <directory>", "apply nothing; write what is good to a new directory")
  .option("--json", "for programs")
  .action((path: string, { salvage, acceptChanged, json }: RecoverWords) =>
    orComplain(async () => {
      if (salvage === undefined) await recover(path, acceptChanged ?? false, json);
      else answerReport(await salvagePool(path, salvage), json);
    }),
  );

command
  .command("digest <pool>")
  .description("apply the log of a pool that nobody has open to its files, and close it")
  .option("--json", "for programs")
  .action((path: string, { json }: LookWords) => orComplain(() => recover(path, false, json)));
