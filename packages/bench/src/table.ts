// Plain text tables: right-aligned columns under their headings, and how numbers stand in them.
import type { Estimate, Spread } from "./statistics.js";

export const fixed = (value: number, digits: number) => value.toFixed(digits);

export const withInterval = ({ median, low, high }: Estimate, scale: number, digits: number, unit: string) =>
  `${fixed(median * scale, digits)}${unit} (${fixed(low * scale, digits)}-${fixed(high * scale, digits)})`;

/** Nanoseconds as microseconds, with the interquartile range. */
export const micros = ({ median, iqr }: Spread) => `${fixed(median / 1000, 1)} (${fixed(iqr / 1000, 1)})`;

export const kibibytes = (bytes: number) => `${bytes / 1024} KiB`;

export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => (cells[column] ?? "").padStart(width))
      .join("  ")
      .trimEnd();
  return [line(headings), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
