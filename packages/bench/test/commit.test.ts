import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProgram } from "../src/programs.js";
import { currentCommit } from "../src/record.js";

let checkout: string | undefined;
const git = (...words: string[]) => execFileSync("git", ["-C", checkout!, ...words], { stdio: "pipe" });
const write = (path: string, text: string) => {
  mkdirSync(dirname(join(checkout!, path)), { recursive: true });
  writeFileSync(join(checkout!, path), text);
};
const recorded = () => currentCommit(join(checkout!, "packages/bench/dist"));

beforeEach(({ skip }) => {
  skip(!findProgram("git"), "git is not installed");
  checkout = mkdtempSync(join(tmpdir(), "zio-commit-"));
  for (const path of ["packages/bench/package.json", "packages/bench/dist/index.js", "docs/records/copies.json"])
    write(path, "{}");
  for (const path of ["README.md", "packages/bench/README.md", "packages/bench/src/index.ts"]) write(path, "");
  git("init", "-q");
  git("add", ".");
  git("-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "all");
});
afterEach(() => {
  if (checkout) rmSync(checkout, { recursive: true, force: true });
});

test("a checkout as it was committed has no changes, whatever new files lie in it", () => {
  write("notes", "new");
  expect(recorded()).toEqual({ id: expect.stringMatching(/^[0-9a-f]{40}$/), modified: false });
});

test("what a recording writes itself is no change, nor is any other text", () => {
  for (const path of ["docs/records/copies.json", "README.md", "packages/bench/README.md"]) write(path, "changed");
  expect(recorded()).toMatchObject({ modified: false });
});

test("a changed program is a change", () => {
  write("packages/bench/src/index.ts", "changed");
  expect(recorded()).toMatchObject({ modified: true });
});

test("a package that is not in the repository around it has no commit", () => {
  write("packages/other/package.json", "{}");
  expect(currentCommit(join(checkout!, "packages/other/dist"))).toBeNull();
});
