// The examples of docs/guides: C compiles and runs, JavaScript runs, and what `zio` is told it knows.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileC, runProgram } from "../src/index.js";

const repository = join(import.meta.dirname, "../..");
const guides = join(repository, "docs/guides");
const core = join(repository, "packages/core");

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-guides-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The examples of a guide in one language, in their order. */
function examplesOf(guide: string, language: string): string[] {
  const text = readFileSync(join(guides, guide), "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, code = ""]) => code);
}

/** An example as a file under the name that its first line gives it. */
function write(code: string): string {
  const name = /^\/\* (\w+\.c): /.exec(code)?.[1];
  if (name === undefined) throw new Error("the example does not say how it is compiled");
  const path = join(directory, name);
  writeFileSync(path, code);
  return path;
}

test("the adapter compiles, passes the host's check and carries bytes", async () => {
  const [adapter = "", host = ""] = examplesOf("adapter.md", "c").map(write);
  const includes = [join(core, "include")];
  const flags = ["-shared", "-fPIC", "-Wl,--no-undefined"];
  const library = await compileC({ sources: [adapter], includes, flags });
  const program = await compileC({ sources: [host], includes, libs: ["dl"] });
  const { status, stdout, stderr } = await runProgram(program, [library]);
  expect({ status, stderr, stdout: stdout.toString() }).toEqual({
    status: 0,
    stderr: "",
    stdout: "counting: from end to end\n",
  });
  expect(await runProgram(program, ["/dev/null"])).toMatchObject({ status: 1, stderr: "no adapter of version 0\n" });
});

const pieces = [
  [50, 249_950, 1, 249_950],
  [100, 250_000, 2, 40],
  [50, 250_100, 1, 250_100],
] as const;

test("the tree is embedded in C", async () => {
  const [source = ""] = examplesOf("embed.md", "c").map(write);
  const includes = [join(core, "include"), join(core, "native")];
  const program = await compileC({ sources: [source], includes, sanitizers: ["address", "undefined"] });
  const { status, stdout, stderr } = await runProgram(program);
  const lines = pieces.map(
    ([length, start, handle, from]) => `${length} bytes at ${start}: origin ${handle} from ${from} on`,
  );
  expect({ status, stderr, stdout: stdout.toString() }).toEqual({
    status: 0,
    stderr: "",
    stdout: `${lines.join("\n")}\n`,
  });
});

test("and in Node, with the same pieces", async () => {
  const [code = ""] = examplesOf("embed.md", "js");
  const program = join(directory, "parts.mjs");
  // As a compiler would write it for a Node that does not know `using`.
  const known = code
    .replace("using file", "const file")
    .replace('"@zio/core"', JSON.stringify(join(core, "dist/index.js")));
  writeFileSync(program, `${known}file.dispose();\n`);
  const { status, stdout, stderr } = await runProgram(process.execPath, [program]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const text = stdout.toString();
  for (const [length, start, handle, from] of pieces)
    expect(text.replace(/\s+/g, " ")).toMatch(
      new RegExp(`start: ${start}n, length: ${length}n, handle: ${handle}n, offset: ${from}n`),
    );
  expect(text).toMatch(/^2n undefined 3$/m);
});

describe("what the guides tell zio to do", () => {
  const lines = readdirSync(guides).flatMap((guide) => {
    const text = readFileSync(join(guides, guide), "utf8");
    const commands = text.matchAll(/^(?:npx )?zio (\w+)(.*?)(?: -- .*| +#.*)?$/gm);
    return [...commands].map(([line, command = "", words = ""]) => ({ guide, line, command, words }));
  });

  test("is something", () => expect(lines.length).toBeGreaterThan(5));

  test.each(lines)("$guide: $line", async ({ command, words }) => {
    const { stdout, status } = await runProgram(join(repository, "bin/zio"), [command, "--help"]);
    expect(status).toBe(0);
    for (const [option] of words.matchAll(/--[a-z-]+/g)) expect(stdout.toString()).toMatch(new RegExp(`${option}[ ,]`));
  });
});
