// Finds the file that a command names, as execvp does. Paths are bytes: a file name need not be UTF-8.
import { accessSync, constants, statSync } from "node:fs";

/** glibc's, where PATH is unset. */
const defaultSearchPath = "/bin:/usr/bin";
const slash = "/".charCodeAt(0);
const colon = ":".charCodeAt(0);

export type Resolution = { found: true; path: Buffer } | { found: false; code: "ENOENT" | "EACCES"; reason: string };

type Candidate = "good" | "missing" | "directory" | "not-executable" | "unreachable";

function examine(path: Buffer): Candidate {
  try {
    if (!statSync(path).isFile()) return "directory";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES" ? "unreachable" : "missing";
  }
  try {
    accessSync(path, constants.X_OK);
    return "good";
  } catch {
    return "not-executable";
  }
}

const refusals: Record<Exclude<Candidate, "good">, { code: "ENOENT" | "EACCES"; reason: string }> = {
  missing: { code: "ENOENT", reason: "there is no such file" },
  directory: { code: "EACCES", reason: "it is not a file" },
  "not-executable": { code: "EACCES", reason: "it is not executable; chmod +x it, or name its interpreter" },
  unreachable: { code: "EACCES", reason: "permission denied" },
};

function* searchedPaths(command: Buffer, searchPath: Buffer): Generator<Buffer> {
  let from = 0;
  while (from <= searchPath.length) {
    const end = searchPath.indexOf(colon, from);
    const directory = searchPath.subarray(from, end < 0 ? searchPath.length : end);
    // An empty entry is the current directory.
    yield directory.length === 0 ? command : Buffer.concat([directory, Buffer.from("/"), command]);
    if (end < 0) return;
    from = end + 1;
  }
}

/** The file of `command`: itself where it has a slash, else the first in the directories of PATH. */
export function resolveCommand(command: Buffer, searchPath: Buffer | undefined): Resolution {
  if (command.includes(slash)) {
    const candidate = examine(command);
    return candidate === "good" ? { found: true, path: command } : { found: false, ...refusals[candidate] };
  }
  let refused: Exclude<Candidate, "good"> | undefined;
  if (command.length > 0) {
    for (const path of searchedPaths(command, searchPath ?? Buffer.from(defaultSearchPath))) {
      const candidate = examine(path);
      if (candidate === "good") return { found: true, path };
      // As a shell: a directory of PATH that cannot be searched holds nothing.
      if (candidate === "not-executable") refused ??= candidate;
    }
  }
  if (refused) return { found: false, ...refusals[refused] };
  return { found: false, code: "ENOENT", reason: "it is not on the PATH" };
}
