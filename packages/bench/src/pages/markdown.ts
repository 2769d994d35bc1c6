// What the generated pages share.
import type { BenchRecord } from "../record.js";

export const generatedNotice = (name: string) =>
  `<!-- Written by \`zio bench page ${name}\` from the records in docs/records; do not edit. -->`;

const escaped = (cell: string) => cell.replaceAll("|", "\\|");

export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return [headings, headings.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map(escaped).join(" | ")} |`)
    .join("\n");
}

const places: Record<string, string> = {
  "--json": "FILE",
  "--plot": "FILE",
  "--interpreter": "FILE",
  "--connect": "HOST",
};

/** The command with FILE and HOST for what names a place of those who measured. */
export function portableCommand(command: readonly string[]): string {
  return command.map((word, at) => places[command[at - 1] ?? ""] ?? word).join(" ");
}

export function machineLine({ machine, serverMachine, commit, startedAt, options }: BenchRecord): string {
  const server = serverMachine && `the server on ${serverMachine.cpuModel}, Linux ${serverMachine.kernel}`;
  return [
    ...(server ? [server] : []),
    `${machine.cpuModel}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB`,
    `Linux ${machine.kernel}, ${machine.distribution}`,
    `load ${machine.loadAverage} before the run`,
    `policy \`${options.policy}\`, ${options.pairs} pairs`,
    `commit ${commit ? `${commit.id.slice(0, 12)}${commit.modified ? " with uncommitted changes" : ""}` : "unknown"}`,
    startedAt.slice(0, 10),
  ].join("; ");
}
