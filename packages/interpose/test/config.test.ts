import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { configTable, configVariable, formatSize, parseSize, problemWithValue } from "../src/index.js";

const packageRoot = fileURLToPath(new URL("..", import.meta.url));

test("the generated tables are up to date with config.json", () => {
  const script = join(packageRoot, "scripts/generate-config.mjs");
  const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

test("every setting has a variable, an option and a property of its own, and takes its default", () => {
  for (const key of ["name", "option", "identifier", "property"] as const) {
    expect(new Set(configTable.map((row) => row[key])).size).toBe(configTable.length);
  }
  for (const { name, default: text } of configTable) {
    if (text !== "") expect(problemWithValue(configVariable(name), text)).toBeUndefined();
  }
});

test.each([
  ["0", 0],
  ["4096", 4096],
  ["16K", 16384],
  ["3M", 3 * 1024 ** 2],
  ["2G", 2 * 1024 ** 3],
  ["64k", 65536],
  ["1m", 1024 ** 2],
])("the size %s is %d bytes", (text, sizeBytes) => {
  expect(parseSize(text)).toBe(sizeBytes);
});

test.each(["", " 1", "1 K", "16KB", "16KiB", "-1", "+1", "1.5M", "0x10", "K", "1e3", "99999999999999999999"])(
  'the text "%s" is no size',
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);

test("a formatted size is read back as it was", () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), (sizeBytes) => {
      expect(parseSize(formatSize(sizeBytes))).toBe(sizeBytes);
    }),
  );
});

test.each([
  ["ZIO_POLICY", "sometimes", 'takes one of always, learn, off, paper, not "sometimes"'],
  ["ZIO_POLICY", "", 'takes one of always, learn, off, paper, not ""'],
  ["ZIO_THRESHOLD", "2K", 'takes a size from 4K to 1G (K, M and G are binary), not "2K"'],
  ["ZIO_THRESHOLD", "2G", 'takes a size from 4K to 1G (K, M and G are binary), not "2G"'],
  ["ZIO_MEMORY_LIMIT", "64", 'takes a size from 1M to 1024G (K, M and G are binary), not "64"'],
  [
    "ZIO_DISABLE",
    "move,moev",
    expect.stringMatching(/^takes a list, separated by commas, of .*move.*, not "move,moev"$/),
  ],
])('%s refuses "%s" with its sentence', (name, text, sentence) => {
  expect(problemWithValue(configVariable(name), text)).toEqual(sentence);
});

test.each([
  ["ZIO_POLICY", "always"],
  ["ZIO_THRESHOLD", "4K"],
  ["ZIO_THRESHOLD", "1048576K"],
  ["ZIO_MEMORY_LIMIT", "0"],
  ["ZIO_MEMORY_LIMIT", "256M"],
  ["ZIO_DISABLE", "move,device"],
  ["ZIO_LOG", "stderr"],
])('%s takes "%s"', (name, text) => {
  expect(problemWithValue(configVariable(name), text)).toBeUndefined();
});
