import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileC } from "@zio/test-support";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

const sources = ["launch.c", "plan.c", "supervise.c"].map((name) =>
  fileURLToPath(new URL(`../native/launch/${name}`, import.meta.url)),
);

let launcher: string;
let directory: string;
let file: string;
beforeAll(async () => {
  launcher = await compileC({ sources, sanitizers: ["address", "undefined"] });
  directory = mkdtempSync(join(tmpdir(), "zio-launch-"));
});
beforeEach(() => {
  file = join(directory, "plan");
});
afterAll(() => rmSync(directory, { recursive: true }));

interface Plan {
  mode?: string;
  path?: string;
  words?: string[];
  variables?: string[];
  afterwards?: string[];
}

function planBytes({ mode = "exec", path = "/bin/sh", words = ["sh"], variables = [], afterwards = [] }: Plan): Buffer {
  const lists = [words, variables, afterwards].flatMap((list) => [String(list.length), ...list]);
  return Buffer.from(["zio-plan", "1", mode, path, ...lists].map((text) => `${text}\0`).join(""));
}

// The plan is read once and never freed: the process is about to become another program.
const env = { ...process.env, ASAN_OPTIONS: "detect_leaks=0", LD_PRELOAD: undefined };

function launch(bytes: Buffer, mode = 0o600) {
  rmSync(file, { force: true });
  writeFileSync(file, bytes, { mode });
  chmodSync(file, mode);
  const { status, signal, stdout, stderr } = spawnSync(launcher, [file], { encoding: "utf8", env });
  return { status, signal, stdout, stderr };
}

test("the program gets exactly the arguments and the environment of the plan, and the plan is gone", () => {
  const plan = {
    words: ["name", "-c", 'echo "$0,$1,$2"; /usr/bin/env', "zero", "", "a b"],
    variables: ["A=1", "B=x=y"],
  };
  const { stdout, status } = launch(planBytes(plan));
  expect(status).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  expect(lines[0]).toBe("zero,,a b");
  expect(lines).toEqual(expect.arrayContaining(["A=1", "B=x=y"]));
  expect(existsSync(file)).toBe(false);
});

test("a file that is not this user's alone is refused and left", () => {
  expect(launch(planBytes({}), 0o644)).toMatchObject({
    status: 126,
    stderr: `zio: cannot read the plan ${file}: not a private file of this user\n`,
  });
  expect(existsSync(file)).toBe(true);
});

test("a link in place of the file is not followed", () => {
  const target = join(directory, "target");
  writeFileSync(target, planBytes({}), { mode: 0o600 });
  rmSync(file, { force: true });
  symlinkSync(target, file);
  const { status, stderr } = spawnSync(launcher, [file], { encoding: "utf8", env });
  expect({ status, stderr }).toMatchObject({
    status: 126,
    stderr: expect.stringMatching(/^zio: cannot read the plan /),
  });
});

test("a plan of another version says that the versions differ", () => {
  const other = Buffer.from(planBytes({}).toString("latin1").replace("\x001\0", "\x002\0"), "latin1");
  expect(launch(other)).toMatchObject({ status: 126, stderr: expect.stringMatching(/are of different versions\n$/) });
});

test("a plan cut short anywhere is refused", () => {
  const whole = planBytes({ words: ["sh", "-c", "echo started"], variables: ["A=1"], afterwards: ["true", "x"] });
  for (let length = 0; length < whole.length; length += 3) {
    const { status, stdout, stderr } = launch(whole.subarray(0, length));
    expect({ length, status, stdout }).toEqual({ length, status: 126, stdout: "" });
    expect(stderr).toMatch(/^zio: cannot read the plan .*\n$/);
  }
});

test.each(["99999999999999999999", "-1", "4294967296", "x"])("a list of %s strings is refused", (count) => {
  const bytes = Buffer.from(["zio-plan", "1", "exec", "/bin/true", count, "true"].map((text) => `${text}\0`).join(""));
  expect(launch(bytes)).toMatchObject({ status: 126, stderr: expect.stringMatching(/: cut short\n$/) });
});

test.each([
  ["/zio/missing", 127, "No such file or directory"],
  ["/etc", 126, "Permission denied"],
])("%s cannot be run: status %d", (path, status, reason) => {
  expect(launch(planBytes({ path }))).toMatchObject({ status, stderr: `zio: cannot run ${path}: ${reason}\n` });
  const supervised = launch(planBytes({ path, mode: "supervise" }));
  expect(supervised).toMatchObject({ status, stderr: `zio: cannot run ${path}: ${reason}\n` });
});

test("a file without an interpreter line is run by the shell, with its arguments", () => {
  const script = join(directory, "script");
  writeFileSync(script, 'echo "$0 $1 $#"\n', { mode: 0o755 });
  expect(launch(planBytes({ path: script, words: ["script", "one", "two"] })).stdout).toBe(`${script} one 2\n`);
});

test("the command for afterwards is told how the program ended", () => {
  const afterwards = ["sh", "-c", 'echo "$1 $3 $4"', "sh", "after"];
  const run = (script: string) => launch(planBytes({ mode: "supervise", words: ["sh", "-c", script], afterwards }));
  expect(run("echo before; exit 5")).toMatchObject({ status: 5, stdout: "before\nafter exited 5\n" });
  expect(run("kill -USR1 $$")).toMatchObject({ signal: "SIGUSR1", stdout: "after killed 10\n" });
});

test("a command for afterwards that is not there is one line, and the end is the program's", () => {
  const plan = planBytes({ mode: "supervise", words: ["sh", "-c", "exit 3"], afterwards: ["/zio/missing"] });
  expect(launch(plan)).toMatchObject({
    status: 3,
    stderr: "zio: cannot run /zio/missing: No such file or directory\n",
  });
});

test("without the file of a plan it says who starts it", () => {
  const { status, stderr } = spawnSync(launcher, [], { encoding: "utf8", env });
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: "zio-launch is started by zio run; it takes the file of a plan\n",
  });
});
