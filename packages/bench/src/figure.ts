// What a record is reduced to for plots, pages and comparisons: for each row one score with its interval, and a value of
// each contender.
import type { Estimate, Spread } from "./statistics.js";

export interface FigureRow {
  name: string;
  /** What rows are judged by; null where nothing is compared. */
  score: Estimate | null;
  /** The same of contenders other than plain and zIO. */
  others?: Record<string, Estimate>;
  /** By contender, in the figure's unit. */
  values: Record<string, Spread>;
}

export interface Figure {
  title: string;
  /** What the score is, for example "plain / zIO". */
  score: string;
  higherIsBetter: boolean;
  /** A score of this much is neither gain nor loss. */
  even: number;
  /** What the values are, with their unit. */
  values: string;
  rows: FigureRow[];
}

export const scaled = ({ median, iqr, mad }: Spread, scale: number): Spread => ({
  median: median * scale,
  iqr: iqr * scale,
  mad: mad * scale,
});

export function scaledAll(spreads: Record<string, Spread>, scale: number): Record<string, Spread> {
  return Object.fromEntries(Object.entries(spreads).map(([name, value]) => [name, scaled(value, scale)]));
}

/** A figure of CPU times, which are nanoseconds in the rows. */
export function cpuFigure<Row extends { ratio: Estimate; others: Record<string, Estimate> }>(
  title: string,
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  cpuNs: (row: Row) => Record<string, Spread>,
): Figure {
  return {
    title,
    score: "plain / zIO",
    higherIsBetter: true,
    even: 1,
    values: "server CPU, us an operation",
    rows: rows.map((row) => {
      const values = scaledAll(cpuNs(row), 1e-3);
      return { name: nameOf(row), score: row.ratio, others: row.others, values };
    }),
  };
}
