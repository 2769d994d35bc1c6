// An environment as bytes: what a program gets must not pass through Node's strings, which cannot hold every byte, nor
// through its object, which loses order and odd names.
import { readFileSync } from "node:fs";

const equals = "=".charCodeAt(0);

function nameOf(entry: Buffer): string {
  // The first byte may be "=": such an entry still has a name.
  const end = entry.indexOf(equals, 1);
  return entry.toString("latin1", 0, end < 0 ? entry.length : end);
}

/** The strings of `bytes`, each ended by NUL. */
export function splitAtNul(bytes: Buffer): Buffer[] {
  const strings: Buffer[] = [];
  for (let from = 0, end: number; from < bytes.length; from = end + 1) {
    end = bytes.indexOf(0, from);
    if (end < 0) end = bytes.length;
    strings.push(bytes.subarray(from, end));
  }
  return strings;
}

/** The entries of an environment in their order. Names are ASCII. */
export class EnvironmentBytes {
  readonly entries: Buffer[];

  constructor(entries: readonly Buffer[]) {
    this.entries = [...entries];
  }

  /** The environment a process was started with; this process's own where that cannot be read. */
  static ofProcess(pid: number): EnvironmentBytes {
    try {
      return new EnvironmentBytes(splitAtNul(readFileSync(`/proc/${pid}/environ`)));
    } catch {
      return EnvironmentBytes.of(process.env);
    }
  }

  static of(environment: NodeJS.ProcessEnv): EnvironmentBytes {
    const pairs = Object.entries(environment).filter(([, value]) => value !== undefined);
    return new EnvironmentBytes(pairs.map(([name, value]) => Buffer.from(`${name}=${value}`)));
  }

  get(name: string): Buffer | undefined {
    const entry = this.entries.find((candidate) => candidate.length > name.length && nameOf(candidate) === name);
    return entry?.subarray(name.length + 1);
  }

  text(name: string): string | undefined {
    return this.get(name)?.toString();
  }

  set(name: string, value: string | Buffer): void {
    const entry = Buffer.concat([Buffer.from(`${name}=`), Buffer.from(value)]);
    const index = this.entries.findIndex((candidate) => nameOf(candidate) === name);
    if (index < 0) this.entries.push(entry);
    else this.entries[index] = entry;
  }

  delete(name: string): void {
    for (let index = this.entries.length - 1; index >= 0; index--) {
      if (nameOf(this.entries[index]!) === name) this.entries.splice(index, 1);
    }
  }
}
