// docs/paper.md: the experiments of the paper, the command that comes nearest to each, its number and ours.
import { commandOf } from "../all.js";
import { bestOf, paperExperiments } from "../paper-experiments.js";
import type { BenchRecord } from "../record.js";
import { generatedNotice, machineLine, markdownTable } from "./markdown.js";

export function paperPage(records: readonly BenchRecord[]): string {
  const recordOf = (id: string) => records.filter(({ experiment }) => experiment === id).at(-1);
  const rows = paperExperiments.map(({ id, what, paper, run, differs }) => {
    const record = recordOf(id);
    const ours = !run ? "" : record ? bestOf(record) : "not recorded yet";
    return [what, run ? `\`${commandOf(run).join(" ")}\`` : "", paper, ours, differs];
  });
  const used = paperExperiments.flatMap(({ id }) => recordOf(id) ?? []);
  return [
    generatedNotice("paper"),
    "# The paper's experiments",
    "",
    "zIO: Accelerating IO-Intensive Applications with Transparent Zero-Copy IO (Stamler, Hwang, Raybuck, Zhang, Peter; OSDI",
    "2022) measured on a Xeon Gold 6252 of 24 cores with 100 Gb/s. `zio bench paper --json docs/records/paper.json` runs",
    'what can be run here, within an hour; ours is the best ratio with its 95 % confidence interval, "its own rule" the',
    "policy `paper` at the same place: copies from 16 KiB on, until 6 % of the bytes elided are touched.",
    "",
    markdownTable(["experiment", "command", "the paper", "ours", "what differs"], rows),
    "",
    ...used.map((record) => `- ${record.experiment}: ${machineLine(record)}.`),
    ...(used.length > 0 ? [""] : []),
  ].join("\n");
}
