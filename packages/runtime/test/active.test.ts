import { fork, type Serializable, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { afterAll, beforeAll, expect, test } from "vitest";
import { userfaultfdProblem } from "../src/doctor/userfaultfd.js";
import { ensureActive, isActive } from "../src/index.js";
import { zioPath } from "./support/run-zio.js";

const runtime = JSON.stringify(join(import.meta.dirname, "../dist/index.cjs"));
const clean = { LD_PRELOAD: undefined, ZIO_POLICY: undefined, ZIO_STATS: undefined, ZIO_ENSURED: undefined };
const problem = userfaultfdProblem();

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-active-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function script(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const describeSelf = `
  const { ensureActive, isActive } = require(${runtime});
  const before = process.pid;
  const result = ensureActive({ policy: "always" });
  console.log(JSON.stringify({
    result, active: isActive(), argv: process.argv.slice(2), execArgv: process.execArgv, argv0: process.argv0,
    policy: process.env.ZIO_POLICY, pid: process.pid, own: process.env.OWN,
  }));`;

test("this process does not run under zIO", () => {
  expect(isActive()).toBe(false);
});

test.each([
  [["run"], true],
  [["run", "--policy", "off"], false],
  [["run", "--disable", "userfaultfd"], false],
])("in a program of `zio %s` it is %s", async (words, expected) => {
  const command = [process.execPath, "-p", `require(${runtime}).isActive()`];
  const { stdout } = await runProgram(zioPath, [...words, "--", ...command], { env: clean });
  expect(stdout.toString()).toBe(`${expected && !problem}\n`);
});

test("a program that ensures it is started again as the same process, with its arguments and Node's", ({ skip }) => {
  skip(problem !== undefined, problem?.reason);
  const path = script("describe.cjs", describeSelf);
  const words = ["--stack-size=900", "--no-warnings", path, "a b", "", "ü"];
  // The shell prints its process ID and becomes Node: the ID that Node prints after starting again is the same.
  const shell = spawnSync("sh", ["-c", 'echo $$; exec "$0" "$@"', process.execPath, ...words], {
    env: { ...process.env, ...clean, OWN: "1" },
    encoding: "utf8",
  });
  expect(shell.stderr).toBe("");
  const [shellPid, line = ""] = shell.stdout.split("\n");
  expect(JSON.parse(line)).toEqual({
    result: { active: true },
    active: true,
    argv: ["a b", "", "ü"],
    execArgv: ["--stack-size=900", "--no-warnings"],
    argv0: process.execPath,
    policy: "always",
    pid: Number(shellPid),
    own: "1",
  });
});

test("standard input and output are the same afterwards, and the exit status is the program's", async ({ skip }) => {
  skip(problem !== undefined, problem?.reason);
  const path = script(
    "copy.cjs",
    `require(${runtime}).ensureActive(); process.stdin.pipe(process.stdout);
    process.stdin.on("end", () => { process.stderr.write("end"); process.exitCode = 7; });`,
  );
  const input = Buffer.alloc(3_000_000, "0123456789");
  const result = await runProgram(process.execPath, [path], { stdin: input, env: clean });
  expect(result.stdout.equals(input)).toBe(true);
  expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 7, stderr: "end" });
});

test.each(["json", "advanced"] as const)("the IPC channel stays, with %s serialization", async (serialization) => {
  const path = script(
    `channel-${serialization}.cjs`,
    `
    const { ensureActive, isActive } = require(${runtime});
    ensureActive();
    process.on("message", (message) => {
      process.send({ message, active: isActive() });
      process.disconnect();
    });`,
  );
  const child = fork(path, { env: { ...process.env, ...clean }, serialization });
  const sent: Serializable = serialization === "advanced" ? new Map([["key", 1n]]) : { key: 1 };
  child.send(sent);
  const [answer] = await once(child, "message");
  expect(answer).toEqual({ message: sent, active: problem === undefined });
  const [status] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
  expect(status).toBe(0);
});

test("a program of -e is started again as well, one from standard input goes on and is told why", async ({ skip }) => {
  skip(problem !== undefined, problem?.reason);
  const evaluated = await runProgram(process.execPath, ["-e", describeSelf, "word"], { env: clean });
  expect(JSON.parse(evaluated.stdout.toString())).toMatchObject({ active: true });
  const piped = await runProgram(process.execPath, [], { stdin: describeSelf, env: clean });
  expect(JSON.parse(piped.stdout.toString())).toMatchObject({
    active: false,
    result: { active: false, reason: expect.stringMatching(/standard input/) },
  });
});

test("it happens once: where it does not help the program goes on", async ({ skip }) => {
  skip(problem !== undefined, problem?.reason);
  const path = script("again.cjs", describeSelf);
  const env = { ...clean, ZIO_ENSURED: "yes" };
  const { stdout } = await runProgram(process.execPath, [path], { env });
  expect(JSON.parse(stdout.toString())).toMatchObject({
    active: false,
    result: { active: false, reason: expect.stringMatching(/started again under zIO once/) },
  });
});

test("where userfaultfd cannot be had nothing is started, and the reason is returned", async () => {
  const path = script("masked.cjs", describeSelf);
  const { stdout } = await runProgram(process.execPath, [path], { env: { ...clean, ZIO_DISABLE: "userfaultfd" } });
  expect(JSON.parse(stdout.toString())).toMatchObject({
    active: false,
    result: { active: false, reason: expect.stringMatching(/^userfaultfd is not available: .*ZIO_DISABLE/) },
  });
});

test("a wrong setting throws before anything happens", ({ skip }) => {
  skip(problem !== undefined, problem?.reason);
  expect(() => ensureActive({ thresholdBytes: 1 })).toThrow(expect.objectContaining({ code: "EINVAL" }));
});

test("in a worker thread it is an error", async ({ skip }) => {
  skip(problem !== undefined, problem?.reason);
  const path = script(
    "worker.cjs",
    `
    const { Worker } = require("node:worker_threads");
    new Worker(\`try { require(${runtime.replaceAll("\\", "\\\\")}).ensureActive(); } catch (error) { console.log(error.code); }\`, { eval: true });`,
  );
  const { stdout } = await runProgram(process.execPath, [path], { env: clean });
  expect(stdout.toString()).toBe("NOT_MAIN_THREAD\n");
});
