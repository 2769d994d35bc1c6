// What every workload is, and the runner that they share: it verifies each cell once apart from the timing and then takes
// the samples of all contenders interleaved.
import type { Command } from "commander";
import type { Contender } from "./contender.js";
import type { Figure } from "./figure.js";
import type { Progress } from "./progress.js";
import type { BenchRecord, RecordedCell } from "./record.js";
import { type Cell, interleave } from "./schedule.js";

export interface Workload<Options> {
  name: string;
  summary: string;
  defaults: Options;
  /** What differs in `zio bench all`, which has little time for each. */
  overview: Partial<Options>;
  /** Declares the options of the command; their names are those of `Options`. */
  configure(command: Command): Command;
  run(options: Options, progress: Progress, command: string[]): Promise<BenchRecord>;
  /** The result as text, the ratio first. */
  report(record: BenchRecord): string;
  /** The same reduced to a score and values for each row. */
  figure(record: BenchRecord): Figure;
}

export interface Measurement<Parameters, Values> {
  cells: readonly Cell<Parameters>[];
  contenders: readonly Contender[];
  pairs: number;
  /** No further pair is begun when this time is likely to pass with it. One is always taken. */
  budgetSeconds?: number | undefined;
  /** Throws where a byte is wrong. */
  verify(contender: Contender, parameters: Parameters): Promise<void>;
  sample(contender: Contender, parameters: Parameters, pair: number): Promise<Values>;
  progress: Progress;
}

export async function measureInterleaved<Parameters, Values>(
  measurement: Measurement<Parameters, Values>,
): Promise<RecordedCell<Parameters, Values>[]> {
  const { cells, contenders, pairs, progress } = measurement;
  const begun = performance.now();
  const recorded = new Map<Cell<Parameters>, RecordedCell<Parameters, Values>>();
  for (const cell of cells) {
    progress.step(`verifying every byte: ${cell.name}`);
    recorded.set(cell, { ...cell, verified: [], samples: [] });
    for (const contender of contenders) {
      await measurement.verify(contender, cell.parameters);
      recorded.get(cell)!.verified.push(contender.name);
    }
  }
  const started = performance.now();
  const mayBegin = pairBudget(measurement.budgetSeconds, begun);
  let shownPair = -1;
  for (const { pair, position, cell, contender } of interleave(cells, contenders, pairs)) {
    const startedMs = Math.round(performance.now() - started);
    if (pair !== shownPair && !mayBegin(pair)) break;
    if (pair !== shownPair) progress.step(`pair ${pair + 1} of ${pairs}${remaining(startedMs, pair, pairs)}`);
    shownPair = pair;
    const values = await measurement.sample(contender, cell.parameters, pair);
    recorded.get(cell)!.samples.push({ pair, position, contender: contender.name, startedMs, values });
  }
  progress.end();
  return [...recorded.values()];
}

/** Whether there is time for a further pair, judged by those before. */
function pairBudget(seconds: number | undefined, begun: number): (pair: number) => boolean {
  let firstPair = 0;
  return (pair) => {
    const now = performance.now();
    if (pair === 0) firstPair = now;
    return pair === 0 || seconds === undefined || now - begun + (now - firstPair) / pair <= seconds * 1000;
  };
}

function remaining(elapsedMs: number, done: number, all: number): string {
  return done === 0 ? "" : `, ${Math.ceil(((elapsedMs / done) * (all - done)) / 1000)} s left`;
}

/** Of how many pairs every cell has samples. */
export function pairsTaken(cells: readonly RecordedCell<unknown, unknown>[]): number {
  return 1 + Math.max(-1, ...cells.flatMap(({ samples }) => samples.map(({ pair }) => pair)));
}

/** The values of one contender in the order of the pairs. */
export function byPair<Values>(cell: RecordedCell<unknown, Values>, contender: string): Values[] {
  return cell.samples
    .filter((sample) => sample.contender === contender)
    .sort((left, right) => left.pair - right.pair)
    .map((sample) => sample.values);
}
