import { randomUUID } from "node:crypto";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { libraryPath, preloadablePath } from "@zio/interpose";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileProgram, runZio } from "./support/run-zio.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-run-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const printVariable = (name: string) => ["sh", "-c", `printf %s "\${${name}-unset}"`];

test("standard input and output and the arguments are the program's own", async () => {
  const result = await runZio(["run", "--", "sh", "-c", 'cat; echo "$@" >&2', "sh", "-x", "--stats"], {
    stdin: "input",
  });
  expect(result).toEqual({ status: 0, signal: null, stdout: "input", stderr: "-x --stats\n" });
});

test("the first word that is no option begins the command, with or without --", async () => {
  expect(await runZio(["run", "echo", "--policy", "x", "--", "-h"])).toMatchObject({
    stdout: "--policy x -- -h\n",
    status: 0,
  });
});

test.each([0, 1, 3, 125, 126, 127, 255])("exit status %d passes through", async (status) => {
  expect(await runZio(["run", "--", "sh", "-c", `exit ${status}`])).toMatchObject({ status, stderr: "" });
});

test.each(["SIGTERM", "SIGKILL", "SIGSEGV", "SIGUSR1"] as const)("death by %s passes through", async (signal) => {
  const command = ["sh", "-c", `kill -${signal.slice(3)} $$`];
  expect(await runZio(["run", "--", ...command])).toMatchObject({ signal, status: null, stderr: "" });
});

test("the library is preloaded, before what was there", async () => {
  const { stdout } = await runZio(["run", "--", ...printVariable("LD_PRELOAD")]);
  expect(stdout).toBe(preloadablePath(libraryPath()));
  const copy = join(directory, "other.so");
  copyFileSync(await compileProgram("idle.c", ["-shared", "-fPIC"]), copy);
  const result = await runZio(["run", "--", ...printVariable("LD_PRELOAD")], { env: { LD_PRELOAD: copy } });
  expect(result.stdout).toBe(`${preloadablePath(libraryPath())}:${copy}`);
});

test("options become variables and come before those of the environment", async () => {
  const words = ["run", "--policy", "always", "--threshold", "64K", "--memory-limit", "1G", "--disable", "move,device"];
  const show = ["sh", "-c", "echo $ZIO_POLICY $ZIO_THRESHOLD $ZIO_MEMORY_LIMIT $ZIO_DISABLE"];
  const result = await runZio([...words, "--", ...show], { env: { ZIO_POLICY: "learn", ZIO_THRESHOLD: "bad" } });
  expect(result).toMatchObject({ stdout: "always 64K 1G move,device\n", stderr: "", status: 0 });
});

test("with --no-follow the program is under zIO, what it executes is not, and neither can tell by the environment", async () => {
  const script = `printf '%s ' "\${LD_PRELOAD-unset}" "\${ZIO_POLICY-unset}" "\${ZIO_FOLLOW-unset}"
    grep -c libzio.so /proc/$$/maps; grep -c libzio.so /proc/self/maps`;
  const run = (...options: string[]) => runZio(["run", "--policy", "always", ...options, "--", "sh", "-c", script]);
  const [, shell, grep] = /^unset unset unset (\d+)\n(\d+)\n$/.exec((await run("--no-follow")).stdout) ?? [];
  expect(Number(shell)).toBeGreaterThan(0);
  expect(grep).toBe("0");
  expect((await run()).stdout).toMatch(/^\S+\/libzio\S*\.so always unset [1-9]\d*\n[1-9]\d*\n$/);
});

test("with --no-follow other preloaded libraries stay", async () => {
  const result = await runZio(["run", "--no-follow", "--", ...printVariable("LD_PRELOAD")], {
    env: { ...process.env, LD_PRELOAD: "libm.so.6" },
  });
  expect(result).toMatchObject({ stdout: "libm.so.6", status: 0 });
});

test("a log file is named by its full path and made", async () => {
  const result = await runZio(["run", "--log", "log.txt", "--", ...printVariable("ZIO_LOG")], { cwd: directory });
  expect(result).toMatchObject({ stdout: join(directory, "log.txt"), stderr: "" });
  expect((await runZio(["run", "--log", "stderr", "--", ...printVariable("ZIO_LOG")])).stdout).toBe("stderr");
});

test("a bad value is one line, its default is used and the program runs", async () => {
  const result = await runZio(["run", "--threshold", "12", "--", ...printVariable("ZIO_THRESHOLD")]);
  expect(result).toMatchObject({
    status: 0,
    stdout: "unset",
    stderr: 'zio: --threshold takes a size from 4K to 1G (K, M and G are binary), not "12"; using 16K\n',
  });
  const byVariable = await runZio(["run", "--", ...printVariable("ZIO_POLICY")], { env: { ZIO_POLICY: "fast" } });
  expect(byVariable).toMatchObject({
    stdout: "unset",
    stderr: 'zio: ZIO_POLICY takes one of always, learn, off, paper, not "fast"; using learn\n',
  });
});

test("a log or a directory of counters that cannot be used is one line and left out", async () => {
  const log = join(directory, "missing/log");
  expect(await runZio(["run", "--log", log, "--", ...printVariable("ZIO_LOG")])).toMatchObject({
    status: 0,
    stdout: "unset",
    stderr: `zio: --log cannot use ${log}: there is no such directory; doing without\n`,
  });
  const env = { ZIO_STATS: join(directory, "missing") };
  expect(await runZio(["run", "--", ...printVariable("ZIO_STATS")], { env })).toMatchObject({
    stdout: "unset",
    stderr: `zio: ZIO_STATS cannot use ${env.ZIO_STATS}: there is no such directory; doing without\n`,
  });
});

test.each([
  [["run"], 2, "zio: no command to run; for example: zio run -- redis-server --port 6379\n"],
  [["run", "--"], 2, "zio: no command to run; for example: zio run -- redis-server --port 6379\n"],
  [
    ["run", "--polcy", "off", "true"],
    2,
    "zio: unknown option '--polcy' (Did you mean --policy?); `zio run --help` shows what there is\n",
  ],
  [["run", "--policy"], 2, "zio: option '--policy <policy>' argument missing; `zio run --help` shows what there is\n"],
  [["run", "zio-test-missing"], 127, "zio: cannot run zio-test-missing: it is not on the PATH\n"],
  [["run", "/zio/test"], 127, "zio: cannot run /zio/test: there is no such file\n"],
  [["run", ""], 127, "zio: cannot run : it is not on the PATH\n"],
  [
    ["run", "/etc/passwd"],
    126,
    "zio: cannot run /etc/passwd: it is not executable; chmod +x it, or name its interpreter\n",
  ],
  [["run", "/"], 126, "zio: cannot run /: it is not a file\n"],
  [["rnu"], 2, "zio: unknown command 'rnu' (Did you mean run?); `zio --help` shows what there is\n"],
])("`zio` with %j ends with status %d and one line", async (words, status, line) => {
  expect(await runZio(words)).toEqual({ status, signal: null, stdout: "", stderr: line });
});

test("help goes to standard output and names every setting", async () => {
  const { stdout, stderr, status } = await runZio(["run", "--help"]);
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  for (const option of ["--policy", "--threshold", "--memory-limit", "--stats", "--log", "--disable"]) {
    expect(stdout).toContain(option);
  }
});

test("a script without an interpreter line is run by the shell, as execvp does", async () => {
  const script = join(directory, "script");
  writeFileSync(script, 'echo "$0 $1"\n');
  chmodSync(script, 0o755);
  expect(await runZio(["run", script, "x"])).toMatchObject({ stdout: `${script} x\n`, status: 0 });
});

test("a script whose interpreter is missing ends with 127 and one line", async () => {
  const script = join(directory, "script");
  writeFileSync(script, "#!/nowhere/python\n");
  chmodSync(script, 0o755);
  const line = `zio: cannot run ${script}: script needs the interpreter /nowhere/python, which is not there\n`;
  expect(await runZio(["run", script])).toMatchObject({ status: 127, stderr: line });
});

test("a static program runs unchanged after one line", async () => {
  const program = await compileProgram("describe_process.c", ["-static"]);
  const result = await runZio(["run", "--policy", "always", "--", program]);
  expect(result.stderr).toBe(
    "zio: describe_process is linked statically, so it runs unchanged; use a dynamically linked build of it\n",
  );
  const variables = (text: string) => text.split("\n").filter((line) => line.startsWith("variable"));
  const plain = await runProgram(program, [], { env: { LD_PRELOAD: undefined } });
  expect(variables(result.stdout)).toEqual(variables(plain.stdout.toString()));
});

test("the plan is gone when the program starts", async () => {
  const marker = `zio-test-${randomUUID()}`;
  const search = ["sh", "-c", 'grep -lrs -- "$0" /dev/shm/zio-plan-* /tmp/zio-plan-*; echo searched', marker];
  expect(await runZio(["run", "--", ...search])).toMatchObject({ stdout: "searched\n" });
});
