import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inspectTarget } from "../src/target/inspect-target.js";
import { resolveCommand } from "../src/target/resolve-command.js";
import { asNobody, compileProgram, nobodyProblem, zioPath } from "./support/run-zio.js";

const searchPath = Buffer.from(process.env.PATH ?? "/usr/bin:/bin");
const isRoot = process.geteuid?.() === 0;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-target-"));
  chmodSync(directory, 0o755);
});
afterEach(() => rmSync(directory, { recursive: true }));

function executable(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, 0o755);
  return path;
}

const inspect = (path: string) => inspectTarget(Buffer.from(path), searchPath);

test("a dynamic program can be preloaded", async () => {
  expect(inspect(await compileProgram("idle.c"))).toMatchObject({ preloadable: true, interpreters: [] });
});

test.each([["-static"], ["-static-pie"]])("a program linked with %s cannot, and the reason says so", async (flag) => {
  expect(inspect(await compileProgram("idle.c", [flag]))).toMatchObject({
    preloadable: false,
    problem: "static",
    reason: "idle is linked statically",
  });
});

test("a program for another libc cannot", async () => {
  const path = await compileProgram("idle.c", ["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"]);
  expect(inspect(path)).toMatchObject({
    preloadable: false,
    problem: "other-libc",
    reason: "idle uses musl, not glibc",
  });
});

test("a program for another architecture cannot", async () => {
  const program = readFileSync(await compileProgram("idle.c"));
  program.writeUInt16LE(243, 18);
  const found = inspect(executable("foreign", program));
  expect(found).toMatchObject({ problem: "other-architecture", reason: "foreign is a 64-bit program for RISC-V" });
});

test("the dynamic loader itself, which preloads as well, can", async () => {
  const found = inspect(await compileProgram("idle.c"));
  const loader = found.preloadable ? found.loader : undefined;
  expect(inspect(loader!)).toMatchObject({ preloadable: true });
});

test("a set-user-ID program of another user cannot, one of our own can", async ({ skip }) => {
  skip(!isRoot, "only root can give a file away");
  const path = executable("elevated", readFileSync(await compileProgram("idle.c")));
  chmodSync(path, 0o4755);
  expect(inspect(path)).toMatchObject({ preloadable: true });
  chownSync(path, asNobody.uid, asNobody.gid);
  chmodSync(path, 0o4755);
  expect(inspect(path)).toMatchObject({
    problem: "set-user-id",
    reason: expect.stringMatching(/changes its user when it starts/),
  });
  chownSync(path, 0, asNobody.gid);
  chmodSync(path, 0o2755);
  expect(inspect(path)).toMatchObject({
    problem: "set-user-id",
    reason: expect.stringMatching(/changes its group when it starts/),
  });
});

test("a program with file capabilities cannot, for an ordinary user", async ({ skip }) => {
  const problem = nobodyProblem();
  skip(problem !== false, problem || "");
  const path = executable("capable", readFileSync(await compileProgram("idle.c")));
  const { status } = spawnSync("setcap", ["cap_net_raw+ep", path]);
  skip(status !== 0, "setcap is not installed, or the file system keeps no capabilities");
  expect(inspect(path)).toMatchObject({ preloadable: true });
  const run = spawnSync(zioPath, ["run", "--", path], { ...asNobody, encoding: "utf8" });
  expect(run.stderr).toMatch(/^zio: capable gains capabilities when it starts \(setcap\), so it runs unchanged; .*\n$/);
  expect(run.status).toBe(0);
});

test("a script is judged by its interpreter", async () => {
  const program = await compileProgram("idle.c", ["-static"]);
  const interpreter = executable("interpreter", readFileSync(program));
  expect(inspect(executable("a", "#!/bin/sh\n"))).toMatchObject({ preloadable: true, interpreters: ["/bin/sh"] });
  const script = executable("b", `#!${interpreter} -x\n`);
  expect(inspect(script)).toMatchObject({ problem: "static", reason: "interpreter is linked statically" });
  expect(inspect(executable("c", `#!${script}\n`))).toMatchObject({
    problem: "static",
    interpreters: [script, interpreter],
  });
});

test("a script for env is judged by the program that env finds", () => {
  expect(inspect(executable("a", "#!/usr/bin/env sh\n"))).toMatchObject({ preloadable: true, interpreters: ["sh"] });
  const loader = executable("b", "#!/usr/bin/env -S A=1 sh -e\n");
  expect(inspect(loader)).toMatchObject({ preloadable: true, interpreters: ["sh"] });
  const missing = inspect(executable("c", "#!/usr/bin/env zio-test-missing\n"));
  expect(missing).toMatchObject({ preloadable: true, interpreters: ["/usr/bin/env"] });
});

test("a script whose interpreter is missing is reported with its name", () => {
  expect(inspect(executable("a", "#!/nowhere/interpreter\n"))).toMatchObject({
    problem: "interpreter-missing",
    reason: "a needs the interpreter /nowhere/interpreter, which is not there",
  });
});

test("scripts that name each other are not followed for ever", () => {
  const [a, b] = ["a", "b"].map((name) => join(directory, name));
  executable("a", `#!${b}\n`);
  executable("b", `#!${a}\n`);
  expect(inspect(a!).interpreters).toHaveLength(6);
});

test("a file without an interpreter line is left to /bin/sh", () => {
  expect(inspect(executable("a", "echo hello\n"))).toMatchObject({ preloadable: true, interpreters: [] });
});

test("a command is looked for in the directories of PATH, in order, the empty one being the current one", () => {
  for (const name of ["one", "two"]) mkdirSync(join(directory, name));
  copyFileSync("/bin/true", join(directory, "two/zio-test"));
  const found = (path: string) => resolveCommand(Buffer.from("zio-test"), Buffer.from(path));
  expect(found(`${directory}/one:${directory}/two`)).toEqual({
    found: true,
    path: Buffer.from(`${directory}/two/zio-test`),
  });
  expect(found(`${directory}/one`)).toEqual({ found: false, code: "ENOENT", reason: "it is not on the PATH" });
  expect(existsSync("./zio-test")).toBe(false);
  expect(found(":")).toMatchObject({ found: false, code: "ENOENT" });
});

test("a file that is not executable is passed over, and named where nothing better comes", () => {
  for (const name of ["one", "two"]) mkdirSync(join(directory, name));
  writeFileSync(join(directory, "one/zio-test"), "");
  const found = () => resolveCommand(Buffer.from("zio-test"), Buffer.from(`${directory}/one:${directory}/two`));
  expect(found()).toMatchObject({ found: false, code: "EACCES", reason: expect.stringMatching(/not executable/) });
  copyFileSync("/bin/true", join(directory, "two/zio-test"));
  expect(found()).toMatchObject({ found: true });
});

test("a command with a slash is itself or nothing", () => {
  const found = (path: string) => resolveCommand(Buffer.from(path), searchPath);
  expect(found("/bin/sh")).toMatchObject({ found: true });
  expect(found("/bin/zio-test-missing")).toMatchObject({ code: "ENOENT", reason: "there is no such file" });
  expect(found(directory)).toMatchObject({ code: "EACCES", reason: "it is not a file" });
});

test("file names that are not UTF-8 are found", () => {
  const name = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])]);
  writeFileSync(name, "");
  chmodSync(name, 0o755);
  expect(resolveCommand(name, searchPath)).toEqual({ found: true, path: name });
});
