// The sources of the pool with a mistake put into one of them, which a test must find.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { expect } from "vitest";
import { join, native } from "./compile-native.js";

export interface Mistake {
  file: string;
  /** What stands there, once. */
  correct: string;
  wrong: string;
}

/** Calls `use` with a directory of such sources, which is gone afterwards. */
export async function withMistake<Value>(
  { file, correct, wrong }: Mistake,
  use: (directory: string) => Promise<Value>,
) {
  const directory = mkdtempSync(join(tmpdir(), "zio-nvm-mutant-"));
  try {
    cpSync(native, directory, { recursive: true });
    const source = readFileSync(join(directory, file), "utf8");
    expect(source.split(correct)).toHaveLength(2);
    writeFileSync(join(directory, file), source.replace(correct, wrong));
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
