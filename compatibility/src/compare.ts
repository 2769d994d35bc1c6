// The judgement on two runs of a program: which checks fail under zIO and not without. What fails plain too is the
// baseline, which is listed and not held against zIO.
import type { Outcome } from "./program.js";

export interface Verdict {
  result: "same" | "differs";
  checks: number;
  /** Checks that fail plain too. */
  baseline: string[];
  /** Checks that passed only when they were run again. */
  repeated: { plain: string[]; zio: string[] };
  /** One line for each difference. */
  differences: string[];
}

/** Both values from shortly before where they part. */
function difference(name: string, left: string | undefined, right: string | undefined): string {
  const [plain, zio] = [left ?? "", right ?? ""];
  let same = 0;
  while (same < plain.length && plain[same] === zio[same]) same++;
  const from = Math.max(0, same - 60);
  const part = (value: string | undefined) =>
    value === undefined ? "nothing" : JSON.stringify(value.slice(from, same + 100));
  return `${name}: plain ${part(left)}, zIO ${part(right)}${from > 0 ? ` from character ${from}` : ""}`;
}

export function compare(plain: Outcome, zio: Outcome): Verdict {
  const differences: string[] = [];
  const failedPlain = new Set(plain.failed);
  for (const name of zio.failed) if (!failedPlain.has(name)) differences.push(`${name}: fails under zIO only`);

  const names = new Set([...Object.keys(plain.same ?? {}), ...Object.keys(zio.same ?? {})]);
  for (const name of names) {
    const [left, right] = [plain.same?.[name], zio.same?.[name]];
    if (left !== right) differences.push(difference(name, left, right));
  }
  // A suite that ends early runs fewer tests; a test that fails plain may take others with it.
  if (zio.checks < plain.checks) differences.push(`${plain.checks} checks ran plain, ${zio.checks} under zIO`);
  if (plain.checks + names.size === 0) differences.push("nothing was checked");
  return {
    result: differences.length > 0 ? "differs" : "same",
    checks: zio.checks + names.size,
    baseline: [...failedPlain].sort(),
    repeated: { plain: plain.repeated ?? [], zio: zio.repeated ?? [] },
    differences,
  };
}
