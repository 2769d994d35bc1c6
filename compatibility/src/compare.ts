// The judgement on two runs of a program: which checks fail under zIO and not without. What fails plain too is the
// baseline, which is listed and not held against zIO.
import type { Outcome } from "./program.js";

export interface Verdict {
  result: "same" | "differs";
  checks: number;
  /** Checks that fail plain too. */
  baseline: string[];
  /** One line for each difference. */
  differences: string[];
}

function shorten(value: string | undefined): string {
  if (value === undefined) return "nothing";
  const line = JSON.stringify(value);
  return line.length > 160 ? `${line.slice(0, 160)}...` : line;
}

export function compare(plain: Outcome, zio: Outcome): Verdict {
  const differences: string[] = [];
  const failedPlain = new Set(plain.failed);
  for (const name of zio.failed) if (!failedPlain.has(name)) differences.push(`${name}: fails under zIO only`);

  const names = new Set([...Object.keys(plain.same ?? {}), ...Object.keys(zio.same ?? {})]);
  for (const name of names) {
    const [left, right] = [plain.same?.[name], zio.same?.[name]];
    if (left !== right) differences.push(`${name}: plain ${shorten(left)}, zIO ${shorten(right)}`);
  }
  // A suite that ends early runs fewer tests; a test that fails plain may take others with it.
  if (zio.checks < plain.checks) differences.push(`${plain.checks} checks ran plain, ${zio.checks} under zIO`);
  if (plain.checks + names.size === 0) differences.push("nothing was checked");
  return {
    result: differences.length > 0 ? "differs" : "same",
    checks: zio.checks + names.size,
    baseline: [...failedPlain].sort(),
    differences,
  };
}
