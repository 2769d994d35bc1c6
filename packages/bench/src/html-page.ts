// One HTML page of some records that needs no other file: the plots as SVG, the reports and the machine.
import { plotSvg } from "./plot.js";
import type { BenchRecord } from "./record.js";
import { workloadNamed } from "./run.js";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
export const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (character) => escapes[character]!);

const style = `body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222 }
pre { overflow-x: auto; background: #f6f6f6; padding: 1em; font-size: 12px }
svg { max-width: 100%; height: auto }
.facts { color: #666 }`;

function facts({ machine, commit, startedAt, command, seconds }: BenchRecord): string {
  const memory = Math.round(machine.memoryBytes / 2 ** 30);
  return [
    `${machine.cpuModel}, ${machine.cores} cores, ${memory} GiB, Linux ${machine.kernel}, ${machine.distribution}`,
    `load ${machine.loadAverage} before the run, which took ${Math.round(seconds)} s`,
    `commit ${commit ? commit.id.slice(0, 12) + (commit.modified ? " and changes" : "") : "unknown"}`,
    startedAt.slice(0, 10),
    command.join(" "),
  ].join("; ");
}

async function section(record: BenchRecord): Promise<string> {
  const workload = workloadNamed(record.workload);
  return [
    `<section id="${escapeHtml(record.workload)}">`,
    `<h2>${escapeHtml(record.workload)}</h2>`,
    `<p>${escapeHtml(workload.summary)}.</p>`,
    `<p class="facts">${escapeHtml(facts(record))}</p>`,
    await plotSvg(workload.figure(record)),
    `<pre>${escapeHtml(workload.report(record))}</pre>`,
    "</section>",
  ].join("\n");
}

export async function htmlPage(records: readonly BenchRecord[]): Promise<string> {
  const sections = [];
  for (const record of records) sections.push(await section(record));
  const links = records.map(({ workload: name }) => `<a href="#${escapeHtml(name)}">${escapeHtml(name)}</a>`);
  return [
    "<!doctype html>",
    `<html lang="en"><head><meta charset="utf-8"><title>zio bench</title><style>${style}</style></head><body>`,
    "<h1>zio bench</h1>",
    `<p>${links.join(" ")}</p>`,
    ...sections,
    "</body></html>",
    "",
  ].join("\n");
}
