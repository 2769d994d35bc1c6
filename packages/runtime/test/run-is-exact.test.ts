import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileProgram, withoutUnavailable, zioPath } from "./support/run-zio.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-run-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs a shell script twice, `"$@"` in it being the program plain and under zIO; returns both outputs. */
async function bothWays(script: string, env: Record<string, string | undefined> = {}) {
  const program = await compileProgram("describe_process.c");
  const outputs: string[] = [];
  for (const way of [[program], [zioPath, "run", "--", program]]) {
    // Process IDs differ between the two runs; within one, a program that replaced the shell has the shell's.
    const wrapped = `echo "shell $$"; cd "${directory}"; ${script}`;
    const { stdout, stderr, status } = await runProgram("/bin/sh", ["-c", wrapped, "sh", ...way], {
      env: { LD_PRELOAD: undefined, ...env },
    });
    expect(withoutUnavailable(stderr)).toBe("");
    expect(status).toBe(0);
    const text = stdout.toString("latin1");
    const shellPid = /^shell (\d+)/.exec(text)?.[1];
    const pid = /^pid (\d+)/m.exec(text)?.[1];
    outputs.push(
      text.replace(new RegExp(`\\b${shellPid}\\b`, "g"), "SHELL").replace(new RegExp(`\\b${pid}\\b`, "g"), "PID"),
    );
  }
  return outputs as [string, string];
}

test("the program finds its process, arguments, environment, limits, signals and descriptors as in a plain start", async () => {
  const [plain, zio] = await bothWays('exec "$@" one "" "two words" -- --stats');
  expect(zio).toBe(plain);
  expect(plain).toContain("pid SHELL");
});

test("a lowered limit of open files reaches the program", async () => {
  const [plain, zio] = await bothWays('ulimit -Sn 200; exec "$@"');
  expect(zio).toBe(plain);
  expect(plain).toContain(`limit 7: ${(200).toString(16)} `);
});

test.each(["HUP", "INT QUIT", "PIPE", "TERM USR1"])("ignored signals stay ignored: %s", async (signals) => {
  const [plain, zio] = await bothWays(`trap '' ${signals}; exec "$@"`);
  expect(zio).toBe(plain);
  expect(plain).not.toMatch(/^SigIgn:\s*0+$/m);
});

test.each([
  "<&-",
  ">&-",
  "2>&-",
  "<&- >&- 2>&-",
  "3</dev/null",
  "3</dev/null 4>&1 9</dev/zero",
  "</dev/null >/dev/null",
])("descriptors closed, duplicated or opened beforehand are as in a plain start: %s", async (redirections) => {
  const [plain, zio] = await bothWays(`DESCRIBE_TO=out; export DESCRIBE_TO; ("$@") ${redirections}; cat out`);
  expect(zio).toBe(plain);
  expect(plain).toContain("pid PID");
});

test("umask, niceness and the working directory reach the program", async () => {
  const [plain, zio] = await bothWays('umask 027; exec nice -n 5 "$@"');
  expect(zio).toBe(plain);
  expect(plain).toContain(`umask 27, nice ${Math.min(getPriority() + 5, 19)}, dumpable 1, in ${directory}`);
});

test("arguments and variables that are not UTF-8 reach the program byte by byte", async () => {
  const script = "X=$(printf 'a\\377b'); export X; exec \"$@\" \"$(printf '\\300\\200')\"";
  const [plain, zio] = await bothWays(script);
  expect(zio).toBe(plain);
  expect(plain).toContain("argument c080");
  expect(plain).toContain("variable 583d61ff62");
});

test("variables with names that a shell would drop or add reach the program as they are", async () => {
  const odd = `env -u PWD -u OLDPWD 'BASH_FUNC_greet%%=() { echo hello; }' a.b=c`;
  const [plain, zio] = await bothWays(`exec ${odd} "$@"`);
  expect(zio).toBe(plain);
  expect(zio).toContain(Buffer.from("a.b=c").toString("hex"));
});

test("an environment of a megabyte reaches the program", async () => {
  const env = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`V${index}`, "x".repeat(10_000)]));
  const [plain, zio] = await bothWays('exec "$@"', env);
  expect(zio === plain).toBe(true);
});

test("options for Node in the environment are for the program alone", async () => {
  writeFileSync(join(directory, "hook.cjs"), "console.log('loaded');");
  const [plain, zio] = await bothWays(`NODE_OPTIONS='--require ${directory}/hook.cjs' exec "$@"`);
  expect(zio).toBe(plain);
});
