import { describeBytes } from "../doctor/proc.js";
import { renderTable } from "../text-table.js";
import type { Sample, Way } from "./contender.js";
import type { Case, DemoResult } from "./demo.js";

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

function medianOf(samples: readonly Sample[], way: Way, value: (sample: Sample) => number): number {
  return median(samples.filter((sample) => sample.way === way).map(value));
}

const number = (value: number, digits: number) => (Number.isNaN(value) ? "-" : value.toFixed(digits));
const cpuMicroseconds = ({ cpuMs, messages }: Sample) => (cpuMs * 1000) / messages;
const gigabytesPerSecond = ({ bytes, wallMs }: Sample) => bytes / 1e6 / wallMs;

/** Bytes of copies that became views, as copies of a message. The counters include the messages of the warm-up. */
function elidedCopies({ counters }: Sample): number {
  return counters && counters.redirectedBytes > 0 ? counters.elidedBytes / counters.redirectedBytes : 0;
}

function row({ name, samples, copies }: Case): string[] {
  const cpu = { plain: medianOf(samples, "plain", cpuMicroseconds), zio: medianOf(samples, "zio", cpuMicroseconds) };
  const elided = number(medianOf(samples, "zio", elidedCopies), 1);
  return [
    name,
    number(medianOf(samples, "plain", gigabytesPerSecond), 2),
    number(medianOf(samples, "zio", gigabytesPerSecond), 2),
    number(cpu.plain, 0),
    number(cpu.zio, 0),
    number(cpu.plain / cpu.zio, 2),
    copies === undefined || elided === "-" ? elided : `${elided} of ${copies}`,
    number(
      medianOf(samples, "zio", ({ counters }) => counters?.faults ?? Number.NaN),
      0,
    ),
  ];
}

const headings = ["", "GB/s plain", "zIO", "CPU us/message plain", "zIO", "plain/zIO", "copies elided", "faults"];

/** The table of a demo: throughput, the server's CPU time for a message, what was elided, and page faults in a run. */
export function renderDemo({ cases, problem }: DemoResult): string {
  const rounds = Math.max(...cases.map(({ samples }) => samples.filter(({ way }) => way === "plain").length));
  const size = describeBytes(cases[0]?.messageBytes ?? 0);
  const note = `${size} messages, every byte verified; medians of ${rounds} rounds, plain and zIO in turn.`;
  const verdict = problem ? [`Only plain: ${problem}.`] : [];
  return [renderTable(headings, cases.map(row)), "", note, ...verdict].join("\n");
}
