// Directories of files to copy, and their hashes.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256, sha256OfFile, writeFileOfSeed } from "./stream.js";

/** Names and hashes of the files below a directory. */
export function hashOfTree(directory: string, wanted: (path: string) => boolean = () => true): string {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const lines = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(wanted)
    .map((path) => `${path.slice(directory.length)} ${sha256OfFile(path)}`);
  return `${lines.length} ${sha256(Buffer.from(lines.sort().join("\n")))}`;
}

export function makeTree(directory: string): void {
  mkdirSync(join(directory, "deep/deeper"), { recursive: true });
  for (let i = 0; i < 12; i++) writeFileOfSeed(join(directory, `file-${i}`), i, i ** 5 * 31 + i);
  for (let i = 0; i < 60; i++) writeFileSync(join(directory, "deep", `small-${i}`), `${i}`.repeat(i * 300));
  writeFileOfSeed(join(directory, "deep/deeper/large"), 99, 20_000_003);
}
