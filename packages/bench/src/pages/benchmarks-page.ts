// docs/benchmarks.md: every workload with its last record, and where zIO does not help.
import type { Figure } from "../figure.js";
import { type BenchRecord, describeTarget } from "../record.js";
import { workloadNamed, workloads } from "../run.js";
import type { Estimate } from "../statistics.js";
import { withInterval } from "../table.js";
import { generatedNotice, machineLine, markdownTable, portableCommand } from "./markdown.js";

/** Fewer pairs than this are no published number (docs/benchmarking.md). */
const pairsWanted = 15;

/** Why a workload can come to no more, or costs something. */
const limits: Record<string, string> = {
  copies: "Without copies there is nothing to save, and receiving into an origin is work of its own.",
  sizes: "Up to a few tens of kilobytes a copy that stays in the caches costs less than making views of it.",
  threads:
    "Messages of more threads no longer stay in the caches, and then receiving and sending cost more, which is most of what is left without the copies.",
  faults: "A page that is filled when it is touched costs as much as copying 30 to 80 pages that are in the caches.",
  touched: "Whoever touches all data has to pay for the copy, and a copy page by page is the dearest one.",
  small: "Nothing is large enough to be elided: what is left is the cost of a hook.",
  aof: "Once the pool is full, each byte is still copied once, by the digest, and that is most of what plain costs too.",
  redis: "Over loopback the copies that Redis makes itself are 5 to 15 % of its CPU time; the rest is the kernel's.",
  memory: "A value that stays keeps the whole origin that it came in until it is compacted.",
  startup: "Loading one more library takes the dynamic loader's time.",
  apis: "sendfile and splice pass pages on by reference; a read copies out of the page cache even into an origin.",
  python:
    "Each buffer is a fresh block of the allocator, so its pages fault whether or not bytes are copied into them.",
  grpc: "What its copies cost is in the contender without them; no more can be saved.",
};

function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

const interval = (score: Estimate | null | undefined) => (score ? withInterval(score, 1, 2, "") : "");

function figureTable({ rows, score, values }: Figure): string {
  const contenders = [...new Set(rows.flatMap((row) => Object.keys(row.values)))];
  const others = [...new Set(rows.flatMap((row) => Object.keys(row.others ?? {})))];
  const scored = rows.some((row) => row.score);
  const scores = scored ? [`${score} (95 %)`, ...others.map((name) => `plain / ${name}`)] : [];
  const headings = ["", ...scores, ...contenders.map((name) => `${name}: ${values}`)];
  const cells = rows.map((row) => [
    row.name,
    ...(scored ? [interval(row.score), ...others.map((name) => interval(row.others?.[name]))] : []),
    ...contenders.map((name) => (row.values[name] ? digits(row.values[name].median) : "")),
  ]);
  return markdownTable(headings, cells);
}

function targetsOf({ targets, skipped = [] }: BenchRecord): string[] {
  const relations = { "at-least": ", at least", "at-most": ", at most" };
  const lines = targets.map(
    (target) => `- ${target.met ? "met" : "**not met**"}: ${describeTarget(target, relations)}`,
  );
  return [...lines, ...skipped.map(({ what, reason }) => `- skipped: ${what}: ${reason}`)];
}

function section(name: string, record: BenchRecord | undefined): string[] {
  const workload = workloadNamed(name);
  const head = [`## ${name}`, "", `${workload.summary[0]?.toUpperCase()}${workload.summary.slice(1)}.`, ""];
  if (!record) return [...head, `Not recorded yet: \`zio bench ${name} --json docs/records/${name}.json\`.`, ""];
  const few = Number(record.options.pairs) < pairsWanted ? " Too few pairs for a number that counts." : "";
  const targets = targetsOf(record);
  return [
    ...head,
    figureTable(workload.figure(record)),
    "",
    ...(targets.length > 0 ? [...targets, ""] : []),
    `\`${portableCommand(record.command)}\`; ${machineLine(record)}.${few}`,
    "",
  ];
}

/** Rows in which zIO costs more than it saves, and targets that were missed. */
function losses(records: readonly BenchRecord[]): string[] {
  return records.flatMap((record) => {
    const { rows, higherIsBetter, even, score } = workloadNamed(record.workload).figure(record);
    const lost = rows.filter(({ score: is }) => is && (higherIsBetter ? is.high < even : is.low > even));
    const missed = record.targets.filter(({ met }) => !met).length;
    if (lost.length === 0 && missed === 0) return [];
    const list = lost.map(({ name, score: is }) => `${name} (${score} ${is?.median.toFixed(2)})`).join("; ");
    const parts = [
      `- **${record.workload}**: ${missed} of ${record.targets.length} targets missed.`,
      ...(list ? [`Costs more than it saves: ${list}.`] : []),
      ...(limits[record.workload] ? [limits[record.workload]!] : []),
    ];
    return [parts.join(" ")];
  });
}

export function benchmarksPage(records: readonly BenchRecord[]): string {
  const latest = new Map<string, BenchRecord>();
  const own = records.filter(({ experiment }) => experiment === undefined);
  for (const record of [...own].sort((left, right) => left.startedAt.localeCompare(right.startedAt)))
    latest.set(record.workload, record);
  const chosen = workloads.flatMap(({ name }) => latest.get(name) ?? []);
  const lost = losses(chosen);
  return [
    generatedNotice("benchmarks"),
    "# Benchmarks",
    "",
    "What every workload came to: a score for each row with its 95 % confidence interval, and the median of each contender.",
    "How it is measured: [benchmarking.md](benchmarking.md). The paper's experiments: [paper.md](paper.md).",
    "",
    ...workloads.flatMap(({ name }) => section(name, latest.get(name))),
    "## Where zIO does not help",
    "",
    ...(chosen.length === 0
      ? ["Nothing is recorded yet."]
      : lost.length > 0
        ? lost
        : ["No recorded row is slower than plain, and no target was missed."]),
    "",
  ].join("\n");
}
