// The options and the lines of a report that all workloads share.
import { type Command, Option } from "commander";
import { type Policy, policies } from "./contender.js";
import type { CpuPair } from "./machine.js";
import { cpuPairOption, oneOfOption, wholeOption } from "./option-parsers.js";
import { type BenchRecord, describeTarget } from "./record.js";

export interface CommonOptions {
  /** Plain and zIO samples of each cell. */
  pairs: number;
  policy: Policy;
  /** Whether zIO under the published rule takes part too. */
  withPaper: boolean;
  cpus?: CpuPair | undefined;
  /** Fewer pairs are taken when they would take longer. */
  budgetSeconds?: number | undefined;
}

export const commonDefaults: CommonOptions = { pairs: 15, policy: "learn", withPaper: false };

export function configureCommon(command: Command, defaults: CommonOptions): Command {
  return command
    .option("--pairs <n>", "interleaved pairs of samples", wholeOption, defaults.pairs)
    .option("--policy <policy>", `policy of zIO: ${policies.join(", ")}`, oneOfOption(policies), defaults.policy)
    .option("--with-paper", "zIO under the published rule as a further contender", defaults.withPaper)
    .option("--budget-seconds <n>", "take fewer pairs when they would take longer", wholeOption)
    .addOption(
      new Option("--cpus <server,client>", "cores of the two ends (chosen from the allowed ones)").argParser(
        cpuPairOption,
      ),
    );
}

/** The line below the title of a report. */
export function describeRun({ options, machine }: BenchRecord): string {
  const { cpuModel, cores, kernel } = machine;
  return `medians of ${options.pairs} interleaved pairs; ${cpuModel}, ${cores} cores, Linux ${kernel}`;
}

/** A line for each target: met or not met; then one for each part that was skipped. */
export function targetLines({ targets, skipped }: Pick<BenchRecord, "targets" | "skipped">): string[] {
  const lines = targets.map(
    (target) =>
      `${target.met ? "met    " : "not met"}  ${describeTarget(target, { "at-least": " >=", "at-most": " <=" })}`,
  );
  return [...lines, ...(skipped ?? []).map(({ what, reason }) => `skipped  ${what}: ${reason}`)];
}
