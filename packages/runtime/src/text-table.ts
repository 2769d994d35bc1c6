/** A table of text: the first columns to the left as far as `left` says, the others to the right. */
export function renderTable(headings: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) =>
        column < left ? (cells[column] ?? "").padEnd(width) : (cells[column] ?? "").padStart(width),
      )
      .join("  ")
      .trimEnd();
  return [headings, ...rows].map(line).join("\n");
}
