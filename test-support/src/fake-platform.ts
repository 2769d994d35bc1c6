// A Node that takes itself for another platform's: what zIO's packages do there can be tried on Linux. Nothing in the packages
// knows of it; what is replaced is what they ask.
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface FakePlatform {
  os?: "darwin" | "win32";
  arch?: string;
  libc?: "musl";
}

export interface FakeNode {
  /** A directory with a `node` that is the fake, for the front of PATH. */
  directory: string;
  /** The arguments that make any `node` the fake. */
  nodeArguments: string[];
}

/** Makes such a Node in a directory of its own, which the caller removes. */
export function fakeNode({ os, arch, libc }: FakePlatform): FakeNode {
  const directory = mkdtempSync(join(tmpdir(), "zio-fake-node-"));
  const preload = join(directory, "fake-platform.cjs");
  const lines = [`const set = (name, value) => Object.defineProperty(process, name, { value });`];
  if (os) lines.push(`set("platform", "${os}");`, `require("node:os").platform = () => "${os}";`);
  if (arch) lines.push(`set("arch", "${arch}");`, `require("node:os").arch = () => "${arch}";`);
  if (libc) {
    // As much of an executable as names its loader.
    const executable = join(directory, "node-of-musl");
    writeFileSync(executable, Buffer.from("\x7fELF\x02\x01\x01\0\0\0\0/lib/ld-musl-x86_64.so.1\0", "latin1"));
    lines.push(`set("execPath", ${JSON.stringify(executable)});`);
  }
  writeFileSync(preload, `${lines.join("\n")}\n`);
  const node = join(directory, "node");
  writeFileSync(node, `#!/bin/sh\nexec "${process.execPath}" --require "${preload}" "$@"\n`);
  chmodSync(node, 0o755);
  return { directory, nodeArguments: ["--require", preload] };
}
