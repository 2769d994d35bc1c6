// docs/compatibility.md from the record. Nothing in it is typed by hand.
import type { CompatibilityRecord, Row } from "./record.js";

const head = `# Compatibility

Written by \`node scripts/compatibility.mjs\` from compatibility.json; do not edit.

Other people's programs and test suites, each run plain and then with every process under zIO (\`ZIO_POLICY=always\`: every
input and copy at or above the threshold), and compared. *Same* means that no check failed under zIO that passes plain,
and that everything compared was equal. A check that fails plain too is listed as baseline. Counters are sums over all
processes of the run under zIO; they prove that zIO was at work. Again: \`node scripts/compatibility.mjs --install NAME\`
(as root, on Debian; without \`--install\` a program whose packages are missing is left out).
`;

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function resultOf(row: Row): string {
  const baseline = row.baseline.length > 0 ? `; ${row.baseline.length} in the baseline` : "";
  if (row.result === "same") return `same, ${row.checks} checks${baseline}`;
  if (row.result === "differs") return `**differs** in ${row.differences.length} of ${row.checks} checks${baseline}`;
  return "fails plain";
}

function elidedOf({ counters, elidesNothingBecause }: Row): string {
  if (counters.elidedBytes > 0) return formatBytes(counters.elidedBytes);
  return elidesNothingBecause ? `nothing: ${elidesNothingBecause}` : "nothing";
}

function table(rows: Row[]): string {
  const headings = [
    "program",
    "version",
    "what was run",
    "result",
    "input into origins",
    "elided",
    "output from origins",
  ];
  headings.push("faults", "programs under zIO");
  const lines = rows.map((row) => [
    row.title,
    row.version,
    row.what,
    resultOf(row),
    formatBytes(row.counters.redirectedBytes),
    elidedOf(row),
    formatBytes(row.counters.translatedBytes),
    `${row.counters.faults}`,
    `${row.counters.processes}`,
  ]);
  return [headings, headings.map(() => "---"), ...lines].map((line) => `| ${line.map(cell).join(" | ")} |`).join("\n");
}

function list(title: string, rows: Row[], entries: (row: Row) => string[]): string {
  const parts = rows
    .filter((row) => entries(row).length > 0)
    .map(
      (row) =>
        `- ${row.title}\n${entries(row)
          .map((entry) => `  - ${cell(entry)}`)
          .join("\n")}`,
    );
  return parts.length > 0 ? `\n## ${title}\n\n${parts.join("\n")}\n` : "";
}

function conditions(rows: Row[]): string {
  const groups = new Map<string, string[]>();
  for (const { title, date, commit, machine, settings } of rows) {
    const set = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const key = [
      date,
      `commit ${commit}`,
      `${machine.cpuModel}, ${machine.cores} cores`,
      `Linux ${machine.kernel}`,
      machine.distribution,
      set.join(" "),
    ].join("; ");
    groups.set(key, [...(groups.get(key) ?? []), title]);
  }
  return [...groups].map(([key, titles]) => `- ${titles.join(", ")}: ${key}`).join("\n");
}

function reasons(counts: Record<string, number>): string[] {
  return Object.entries(counts).map(([name, count]) => `${name}: ${count}`);
}

export function markdown({ rows }: CompatibilityRecord): string {
  return [
    head,
    `${table(rows)}\n`,
    list("Differences", rows, (row) => row.differences),
    list("Baseline: what fails plain too", rows, (row) => row.baseline),
    list("Passed only when run again", rows, ({ repeated }) => [
      ...repeated.plain.map((name) => `plain: ${name}`),
      ...repeated.zio.map((name) => `zIO: ${name}`),
    ]),
    list("Why bytes were copied, or not redirected (events)", rows, ({ counters }) => reasons(counters.fallbacks)),
    list("Processes in which zIO did nothing, or ended", rows, ({ counters }) => reasons(counters.states)),
    `\n## Conditions\n\n${conditions(rows)}\n`,
  ]
    .join("\n")
    .replace(/\n{3,}/g, "\n\n");
}
