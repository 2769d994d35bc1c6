import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describePackagedCommand, loadPackagedCommand } from "../src/commands/packaged.js";
import { packageVersion } from "../src/index.js";
import { compileProgram, runZio, zioPath } from "./support/run-zio.js";
import { StartedProgram } from "./support/started-zio.js";

const cliPath = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-cli-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the version is that of the package", async () => {
  expect(await runZio(["--version"])).toMatchObject({ status: 0, stdout: `${packageVersion}\n` });
});

test("without words, and with --help, every subcommand is shown", async () => {
  const { stdout, status } = await runZio(["--help"]);
  expect(status).toBe(0);
  for (const name of ["run", "doctor", "stats", "env", "demo", "bench", "nvm"])
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, "m"));
  expect((await runZio([])).stderr).toBe(stdout);
});

test("zio runs through a symbolic link in another directory", async () => {
  const link = join(directory, "zio");
  symlinkSync(zioPath, link);
  const { stdout } = await runProgram(link, ["run", "echo", "hello"], { cwd: "/" });
  expect(stdout.toString()).toBe("hello\n");
});

test("a checkout that is not set up says what to run", async () => {
  const { status, stderr } = await runProgram("sh", [
    "-c",
    'mkdir -p "$1/bin" && cp "$0" "$1/bin/zio" && "$1/bin/zio" demo',
    zioPath,
    directory,
  ]);
  expect(status).toBe(1);
  expect(stderr).toBe("zio: this checkout is not set up yet; run `npm run demo` (or `npm run setup`) in it first\n");
});

test("where node is not on the PATH one line says so", async () => {
  for (const tool of ["readlink", "dirname"]) symlinkSync(`/usr/bin/${tool}`, join(directory, tool));
  const { status, stderr } = await runProgram(zioPath, ["doctor"], { env: { PATH: directory } });
  expect({ status, stderr }).toEqual({ status: 1, stderr: "zio: node is not on the PATH; install Node 20 or newer\n" });
});

test("the subcommand of an installed package is the package's own", async () => {
  const bench = fileURLToPath(new URL("../../bench/dist/index.js", import.meta.url));
  expect(existsSync(bench)).toBe(true);
  const { stdout, status } = await runZio(["bench", "--help"]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^Usage: zio bench /);
});

test("what that package does not know is looked up in its own help", async () => {
  expect(await runZio(["bench", "zio-test-missing"])).toMatchObject({
    status: 2,
    stderr: "zio: unknown command 'zio-test-missing'; `zio bench --help` shows what there is\n",
  });
});

test("the subcommand of a package that is not installed says what to install", async () => {
  const missing = { name: "absent", package: "@zio/absent", description: "do nothing" };
  const command = await loadPackagedCommand(missing);
  expect(command.description()).toBe(describePackagedCommand(missing).description());
  await expect(command.parseAsync(["x", "--y"], { from: "user" })).rejects.toThrow(
    "`zio absent` comes with @zio/absent, which is not installed: npm install @zio/absent",
  );
});

/** Runs its arguments on a terminal and prints what they wrote there. */
const onTerminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";

test.each([
  [{}, true],
  [{ NO_COLOR: "1" }, false],
  [{ TERM: "dumb" }, false],
])("on a terminal with %j there is colour: %s", async (variables, coloured) => {
  const env = { TERM: "xterm", NO_COLOR: undefined, ...variables };
  const { stdout } = await runProgram("python3", ["-c", onTerminal, zioPath, "doctor"], { env });
  expect(stdout.includes("\x1b[")).toBe(coloured);
});

test("where Node itself is asked to run a command, it stays as the parent and ends as the command", async () => {
  const run = (words: string[]) => runProgram(process.execPath, [cliPath, "run", ...words]);
  expect((await run(["--", "sh", "-c", "echo $PPID; exit 6"])).status).toBe(6);
  expect((await run(["--", "sh", "-c", "kill -TERM $$"])).signal).toBe("SIGTERM");
  const file = join(directory, "stats.json");
  expect((await run(["--stats", file, "--", "true"])).status).toBe(0);
  expect(JSON.parse(readFileSync(file, "utf8")).version).toBe(1);
  expect(await run(["--", "zio-test-missing"])).toMatchObject({
    status: 127,
    stderr: "zio: cannot run zio-test-missing: it is not on the PATH\n",
  });
});

/** Holds Node up for a second between the start of a child and all that follows. */
const slowSpawn = `data:text/javascript,${encodeURIComponent(`
  import childProcess from "node:child_process";
  import { syncBuiltinESMExports } from "node:module";
  const { spawn } = childProcess;
  childProcess.spawn = (...words) => {
    const child = spawn(...words);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    return child;
  };
  syncBuiltinESMExports();
`)}`;

test.each([
  ["such a parent", []],
  ["such a parent before it knows of its command", ["--import", slowSpawn]],
])("signals sent to %s reach the command", async (_, nodeOptions) => {
  const program = await compileProgram("signal_log.c");
  const zio = new StartedProgram(process.execPath, [...nodeOptions, cliPath, "run", "--", program]);
  try {
    await zio.line(/^ready/);
    zio.child.kill("SIGUSR1");
    await zio.line(/^USR1$/);
    zio.child.kill("SIGTERM");
    expect(await zio.ended).toEqual({ status: 7, signal: null });
  } finally {
    zio.dispose();
  }
});

test("an answer that nobody reads to its end does not disturb", async () => {
  const result = await runProgram("sh", ["-c", '"$0" doctor --json | head -c 1', zioPath]);
  expect(result).toMatchObject({ status: 0, stderr: "" });
});
