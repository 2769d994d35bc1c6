// Robust statistics of small samples: medians, their spread, and bootstrap confidence intervals. Everything here is
// deterministic: the bootstrap draws from a generator with a fixed seed, so a record gives the same interval again.

/** A median with the interval that its 95 % confidence spans. */
export interface Estimate {
  median: number;
  low: number;
  high: number;
}

/** That of the inverse: zIO / plain from plain / zIO. */
export const inverse = ({ median, low, high }: Estimate): Estimate => ({
  median: 1 / median,
  low: 1 / high,
  high: 1 / low,
});

export interface Spread {
  median: number;
  /** Interquartile range. */
  iqr: number;
  /** Median absolute deviation from the median. */
  mad: number;
}

/** The value below which `fraction` of the values lie, interpolated between neighbours. */
export function quantile(values: readonly number[], fraction: number): number {
  if (values.length === 0) throw new RangeError("no values");
  const sorted = [...values].sort((left, right) => left - right);
  const position = (sorted.length - 1) * fraction;
  const below = Math.floor(position);
  const [low, high] = [sorted[below]!, sorted[Math.ceil(position)]!];
  return low + (high - low) * (position - below);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function spread(values: readonly number[]): Spread {
  const middle = median(values);
  return {
    median: middle,
    iqr: quantile(values, 0.75) - quantile(values, 0.25),
    mad: median(values.map((value) => Math.abs(value - middle))),
  };
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The median of `values` with the percentile bootstrap's 95 % interval. For a paired comparison the values are those of
 * the pairs, so that what both sides of a pair had in common has gone before anything is resampled.
 */
export function estimateMedian(values: readonly number[], resamples = 10_000, seed = 1): Estimate {
  const random = seededRandom(seed);
  const medians = Array.from({ length: resamples }, () =>
    median(values.map(() => values[Math.floor(random() * values.length)]!)),
  );
  return { median: median(values), low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}
