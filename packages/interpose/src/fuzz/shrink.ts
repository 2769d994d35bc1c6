// Makes a failing program smaller while it still fails: chunks of operations go first, then numbers get simpler. Every
// operation is defined in every state, so each candidate is a program.
import type { Operation, Program } from "./program.js";

export interface ShrinkOptions {
  /** Whether a candidate still fails. */
  fails: (candidate: Program) => Promise<boolean>;
  /** No candidate is tried after this time (Date.now). */
  deadlineMs: number;
  onProgress?: (operations: number, tried: number) => void;
}

/** Simpler values for a number, the simplest first. */
export function simplerValues(value: number): number[] {
  const page = 4096;
  const candidates = [0, -1, Math.round(value / 2 / page) * page, Math.floor(value / page) * page, value >> 1];
  const size = (n: number) => (n === -1 ? 0.5 : Math.abs(n));
  return [...new Set(candidates)].filter((candidate) => size(candidate) < size(value));
}

export async function shrinkProgram(program: Program, options: ShrinkOptions): Promise<Program> {
  let best = program;
  let tried = 0;
  const attempt = async (candidate: Program): Promise<boolean> => {
    if (Date.now() > options.deadlineMs) return false;
    tried++;
    if (!(await options.fails(candidate))) return false;
    best = candidate;
    options.onProgress?.(best.length, tried);
    return true;
  };

  const removeChunks = async (): Promise<boolean> => {
    const before = best.length;
    for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      for (let end = best.length; end > 0; end -= size) {
        const start = Math.max(0, end - size);
        await attempt([...best.slice(0, start), ...best.slice(end)]);
        end = Math.min(end, best.length + size);
      }
    return best.length < before;
  };

  const simplifyNumbers = async (): Promise<boolean> => {
    let changed = false;
    for (let i = 0; i < best.length; i++)
      for (let j = 0; j < best[i]!.args.length; j++)
        for (const value of simplerValues(best[i]!.args[j]!)) {
          const { verb, args } = best[i]!;
          const simpler: Operation = { verb, args: args.map((arg, index) => (index === j ? value : arg)) };
          if (await attempt(best.map((operation, index) => (index === i ? simpler : operation)))) {
            changed = true;
            break;
          }
        }
    return changed;
  };

  while (Date.now() < options.deadlineMs) {
    const fewer = await removeChunks();
    const simpler = await simplifyNumbers();
    if (!fewer && !simpler) break;
  }
  return best;
}
