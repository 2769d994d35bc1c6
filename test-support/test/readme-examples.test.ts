// The first example of each package's README is a program: it compiles against the types that are shipped, and runs.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runProgram } from "../src/index.js";

const repository = join(import.meta.dirname, "../..");

// From its compiled form: this package depends on none of the others.
const { capabilities } = createRequire(import.meta.url)("../../packages/fault-handler/dist/index.cjs") as {
  capabilities(): { available: boolean; reason?: string };
};

interface Example {
  name: string;
  /** What it prints. */
  output: RegExp;
  /** Says so, or stops, where this user has no userfaultfd. */
  needsUserfaultfd?: true;
  /** What is written in place of a part of it, because it would take too long. */
  instead?: [string, string];
}

const examples: Example[] = [
  { name: "core", output: /^139637976727552n 16384n 1n 0n\n/ },
  { name: "fault-handler", output: /^$/, needsUserfaultfd: true },
  { name: "interpose", output: /^\S+\n$/ },
  { name: "runtime", output: /^\S+\n 0 \d+\n([\d.]+ \d+ \{[^}]*\}\n)+\{/, needsUserfaultfd: true },
  {
    name: "bench",
    output: /^0 [\d.]+ undefined\n8 [\d.]+ [\d.-]+\n$/,
    needsUserfaultfd: true,
    instead: ["pairs: 5", "pairs: 1"],
  },
  { name: "bypass-tas", output: /^kernel kernel-descriptors\nshm is absent: .*\nlwip .*\ntas .*\n.*io_stack\.h\n$/ },
  { name: "nvm", output: /^two apples\n\n$/ },
];

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-readme-"));
  // For the example of the fault handler: a file with holes.
  writeFileSync(join(directory, "model.bin"), "");
  truncateSync(join(directory, "model.bin"), 4096 + 2 ** 30);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The example as a file inside its package, which can import itself by its name. */
function writeExample({ name, instead }: Example): string {
  const readme = readFileSync(join(repository, "packages", name, "README.md"), "utf8");
  const code = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1];
  if (code === undefined) throw new Error(`the README of ${name} has no example`);
  if (instead && !code.includes(instead[0])) throw new Error(`the example of ${name} has no ${instead[0]}`);
  const folder = join(repository, "packages", name, "build/readme");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "example.mts");
  writeFileSync(path, instead ? code.replace(...instead) : code);
  return path;
}

test.for(examples)("the example of @zio/$name compiles and runs", { timeout: 120_000 }, async (example, { skip }) => {
  const found = capabilities();
  skip(example.needsUserfaultfd === true && !found.available, `no userfaultfd: ${found.reason}`);
  const source = writeExample(example);
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  const options = ["--target", "es2022", "--lib", "es2023,esnext.disposable", "--module", "nodenext", "--strict"];
  const types = ["--skipLibCheck", "--types", "node", "--typeRoots", join(repository, "node_modules/@types")];
  const compiled = await runProgram(process.execPath, [compiler, ...options, ...types, source], { timeoutMs: 60_000 });
  expect(compiled.stdout.toString()).toBe("");
  const program = source.replace(/\.mts$/, ".mjs");
  const ran = await runProgram(process.execPath, [program], { cwd: directory, timeoutMs: 60_000 });
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: "" });
  expect(ran.stdout.toString()).toMatch(example.output);
});
