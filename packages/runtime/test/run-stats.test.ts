import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { userfaultfdProblem } from "../src/doctor/userfaultfd.js";
import type { RunFile } from "../src/run/record-run.js";
import { userStatsDirectory } from "../src/stats/directory.js";
import { countersPage } from "./support/counters-page.js";
import { compileProgram, runZio, zioPath } from "./support/run-zio.js";
import { StartedProgram, stateOf, until } from "./support/started-zio.js";

let directory: string;
let file: string;
let started: StartedProgram | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-run-stats-"));
  file = join(directory, "stats.json");
});
afterEach(() => {
  started?.dispose();
  started = undefined;
  rmSync(directory, { recursive: true });
});

const record = (): RunFile => JSON.parse(readFileSync(file, "utf8"));

/** Starts signal_log under `zio run --stats` and returns both pids. */
async function startSignalLog() {
  started = new StartedProgram(zioPath, ["run", "--stats", file, "--", await compileProgram("signal_log.c")]);
  const [, pid = "", group = ""] = /^ready (\d+) (\d+)$/.exec(await started.line(/^ready/)) ?? [];
  return { zio: started, pid: Number(pid), group: Number(group) };
}

test("the record has its keys, the command and how it ended, also where nothing was elided", async () => {
  const result = await runZio(["run", "--stats", file, "--", "sh", "-c", "cat; exit 3"], { stdin: "input" });
  expect(result).toEqual({ status: 3, signal: null, stdout: "input", stderr: "" });
  const { processes, ...rest } = record();
  expect(Array.isArray(processes)).toBe(true);
  expect(rest).toMatchObject({
    version: 1,
    command: ["sh", "-c", "cat; exit 3"],
    ending: { status: 3 },
    fallbacks: {},
  });
  for (const key of ["redirectedBytes", "elidedBytes", "copiedBytes", "materialisedBytes", "faults"] as const) {
    expect(rest[key]).toBeTypeOf("number");
  }
  for (const key of ["views", "origins", "originBytes"] as const) expect(rest[key]).toBeTypeOf("number");
});

test("the counters are summed over the pages of all processes, with one entry for each", async () => {
  const page = (pid: number, scale: number) =>
    countersPage({
      pid,
      parentPid: 1,
      counters: { elidedBytes: 100 * scale, faults: scale, "fallbacks.pinned-page": scale, "events.unmap": scale },
    });
  writeFileSync(join(directory, "a"), page(11, 1));
  writeFileSync(join(directory, "b"), page(12, 10));
  await runZio(["run", "--policy", "off", "--stats", file, "--", "sh", "-c", `cp ${directory}/[ab] $ZIO_STATS`]);
  const { processes, ...totals } = record();
  expect(totals).toMatchObject({
    elidedBytes: 1100,
    faults: 11,
    fallbacks: { "pinned-page": 11 },
    other: { "events.unmap": 11 },
  });
  const ours = processes.filter(({ pid }) => pid === 11 || pid === 12);
  expect(ours).toMatchObject([
    { pid: 11, parentPid: 1, elidedBytes: 100, faults: 1, fallbacks: { "pinned-page": 1 } },
    { pid: 12, elidedBytes: 1000 },
  ]);
});

test("what a tree of copying programs elided is recorded for each and in all", async ({ skip }) => {
  skip(userfaultfdProblem() !== undefined, `userfaultfd is not available: ${userfaultfdProblem()?.reason}`);
  const program = await compileProgram("copy_through.c");
  const input = fileOf("input", "x".repeat(4 * 1024 * 1024));
  const command = ["sh", "-c", '"$0" <"$1" >/dev/null & "$0" <"$1" >/dev/null; wait', program, input];
  await runZio(["run", "--policy", "always", "--stats", file, "--", ...command]);
  const { processes, elidedBytes, redirectedBytes } = record();
  const copiers = processes.filter((each) => each.command === "copy_through");
  expect(copiers).toHaveLength(2);
  for (const copier of copiers) {
    expect(copier.state).toBe("active");
    expect(copier.redirectedBytes).toBeGreaterThan(3 * 1024 * 1024);
    expect(copier.elidedBytes).toBeGreaterThan(copier.redirectedBytes);
  }
  expect(elidedBytes).toBe(processes.reduce((sum, each) => sum + each.elidedBytes, 0));
  expect(redirectedBytes).toBe(processes.reduce((sum, each) => sum + each.redirectedBytes, 0));
});

test("the counters of a program that is killed are recorded", async ({ skip }) => {
  skip(userfaultfdProblem() !== undefined, `userfaultfd is not available: ${userfaultfdProblem()?.reason}`);
  const program = await compileProgram("copy_through.c");
  const command = ["sh", "-c", 'echo "pid $$"; exec "$0"', program];
  started = new StartedProgram(zioPath, ["run", "--policy", "always", "--stats", file, "--", ...command]);
  const pid = Number((await started.line(/^pid/)).split(" ")[1]);
  started.child.stdin!.write(`${"x".repeat(1024 * 1024)}\nend\n`);
  await started.line(/^end$/);
  process.kill(pid, "SIGKILL");
  expect(await started.ended).toEqual({ status: null, signal: "SIGKILL" });
  expect(record()).toMatchObject({ ending: { signal: "SIGKILL" } });
  expect(record().redirectedBytes).toBeGreaterThan(0);
});

test("the directory of the pages is private while the command runs and gone afterwards", async () => {
  const { stdout } = await runZio(["run", "--stats", file, "--", "sh", "-c", "echo $ZIO_STATS; stat -c %a $ZIO_STATS"]);
  const [path = "", mode] = stdout.split("\n");
  expect(path.startsWith(`${userStatsDirectory()}/`) || path.startsWith(tmpdir())).toBe(true);
  expect(mode).toBe("700");
  expect(existsSync(path)).toBe(false);
});

test.each(["SIGTERM", "SIGINT", "SIGKILL", "SIGABRT"] as const)(
  "when %s ends the command the record is written and zio dies of the same",
  async (signal) => {
    const command = ["sh", "-c", `ulimit -c 0; kill -${signal.slice(3)} $$`];
    expect(await runZio(["run", "--stats", file, "--", ...command])).toMatchObject({
      signal,
      status: null,
      stderr: "",
    });
    expect(record().ending).toEqual({ signal });
  },
);

test("only the program leaves a core dump", async () => {
  const script = 'ulimit -c unlimited 2>/dev/null; exec "$@"';
  const command = ["run", "--stats", file, "--", "sh", "-c", "kill -ABRT $$"];
  started = new StartedProgram("/bin/sh", ["-c", `cd "${directory}"; ${script}`, "sh", zioPath, ...command]);
  expect(await started.ended).toEqual({ status: null, signal: "SIGABRT" });
  expect(readdirSync(directory).filter((name) => name.startsWith("core")).length).toBeLessThanOrEqual(1);
});

test("signals sent to zio reach the command once and in order", async () => {
  const { zio, pid } = await startSignalLog();
  const sent = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const;
  for (const signal of sent) {
    zio.child.kill(signal);
    await zio.line(new RegExp(`^${signal.slice(3)}$`));
  }
  zio.child.kill("SIGTERM");
  expect(await zio.ended).toEqual({ status: 7, signal: null });
  expect(zio.lines.slice(1)).toEqual([...sent.map((signal) => signal.slice(3)), "TERM"]);
  expect(record()).toMatchObject({ pid, ending: { status: 7 } });
});

test("the command is in zio's process group", async () => {
  const { zio, group } = await startSignalLog();
  const stat = readFileSync(`/proc/${zio.pid}/stat`, "latin1");
  expect(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2])).toBe(group);
});

test("nothing but a small parent waits for the command", async () => {
  const { zio } = await startSignalLog();
  expect(readFileSync(`/proc/${zio.pid}/comm`, "latin1")).toBe("zio-launch\n");
  expect(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${zio.pid}/status`, "latin1"))?.[1])).toBeLessThan(8192);
});

test("zio stops when the terminal's stop signal stopped the command, and both go on together", async () => {
  // A group whose leader has a parent in another one, as a shell makes for a job: the kernel ignores SIGTSTP elsewhere.
  const program = await compileProgram("signal_log.c");
  // Not by `set -m`: without a terminal, as in CI, sh makes no group for a job.
  const script = fileOf("job.py", jobScript);
  started = new StartedProgram("python3", [script, zioPath, "run", "--stats", file, "--", program]);
  const job = Number((await started.line(/^job/)).split(" ")[1]);
  const pid = Number((await started.line(/^ready/)).split(" ")[1]);
  process.kill(job, "SIGTSTP");
  await until(() => stateOf(pid) === "T", "the command to stop");
  await until(() => stateOf(job) === "T", "zio to stop");
  process.kill(job, "SIGCONT");
  await started.line(/^CONT$/);
  await until(() => stateOf(job) === "S", "zio to go on");
  process.kill(job, "SIGTERM");
  await started.line(/^TERM$/);
  await until(() => existsSync(file) && readFileSync(file, "utf8").endsWith("}\n"), "the record");
});

test("a command stopped by SIGSTOP can be continued by whoever stopped it", async () => {
  const { zio, pid } = await startSignalLog();
  process.kill(pid, "SIGSTOP");
  await until(() => stateOf(pid) === "T", "the command to stop");
  await sleep(50); // time enough to stop, were it about to
  expect(stateOf(zio.pid)).not.toBe("T");
  process.kill(pid, "SIGCONT");
  zio.child.kill("SIGTERM");
  expect(await zio.ended).toEqual({ status: 7, signal: null });
});

test("Ctrl-C on a terminal reaches the command once, and the record is written", async () => {
  const program = await compileProgram("signal_log.c");
  const script = fileOf("terminal.py", terminalScript);
  started = new StartedProgram("python3", [script, zioPath, "run", "--stats", file, "--", program]);
  expect(await started.ended).toEqual({ status: 0, signal: null });
  const lines = started.lines.map((line) => line.trim().replace(/^\^C/, "")).filter((line) => /^[A-Z]+$/.test(line));
  expect(lines).toEqual(["INT", "TERM"]);
  expect(record().ending).toEqual({ status: 7 });
});

/** Runs its arguments in a process group of their own, tells its number, and waits for the end. */
const jobScript = `
import os, sys
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.execvp(sys.argv[1], sys.argv[1:])
print("job", pid, flush=True)
os.waitpid(pid, 0)
`;

/** Runs its arguments on a terminal of their own, types Ctrl-C once they are ready, then sends SIGTERM. */
const terminalScript = `
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
def wait_for(text):
    global seen
    while text not in seen:
        seen += os.read(terminal, 4096)
wait_for(b"ready")
os.write(terminal, b"\\x03")
wait_for(b"INT")
os.kill(pid, signal.SIGTERM)
wait_for(b"TERM")
os.waitpid(pid, 0)
sys.stdout.write(seen.decode())
`;

function fileOf(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

test("a child that the command leaves behind keeps nobody waiting", async () => {
  const command = ["sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!"];
  const { stdout, status } = await runZio(["run", "--stats", file, "--", ...command]);
  process.kill(Number(stdout), "SIGKILL");
  expect(status).toBe(0);
  expect(record().ending).toEqual({ status: 0 });
});

test("a file that cannot be written is one line, before the command starts", async () => {
  const missing = join(directory, "missing/stats.json");
  const result = await runZio(["run", "--stats", missing, "--", "touch", join(directory, "started")]);
  expect(result).toMatchObject({
    status: 2,
    stderr: `zio: cannot write the counters to ${missing}: there is no such directory\n`,
  });
  expect(existsSync(join(directory, "started"))).toBe(false);
  mkdirSync(join(directory, "directory"));
  const atDirectory = await runZio(["run", "--stats", join(directory, "directory"), "true"]);
  expect(atDirectory.stderr).toMatch(/: it is a directory\n$/);
});

test("a file that becomes unwritable is one line afterwards, and the status is the command's", async () => {
  const inside = join(directory, "inside");
  mkdirSync(inside);
  const path = join(inside, "stats.json");
  const result = await runZio(["run", "--stats", path, "--", "sh", "-c", `rm -r ${inside}; exit 5`]);
  expect(result.status).toBe(5);
  expect(result.stderr).toMatch(/^zio: cannot write the counters to .*\n$/);
});

test("the record can go to an inherited descriptor", async () => {
  const script = '"$@" 3>"$0"';
  started = new StartedProgram("/bin/sh", ["-c", script, file, zioPath, "run", "--stats", "/dev/fd/3", "--", "true"]);
  expect(await started.ended).toEqual({ status: 0, signal: null });
  expect(record().version).toBe(1);
});

test("a command that cannot be started writes no record", async () => {
  const result = await runZio(["run", "--stats", file, "--", "zio-test-missing"]);
  expect(result).toMatchObject({ status: 127 });
  expect(existsSync(file)).toBe(false);
});

test("limits and ignored signals reach the command also with --stats", async () => {
  const script = `trap '' HUP; ulimit -Sn 300; "$@" sh -c 'ulimit -n; grep SigIgn /proc/self/status'`;
  started = new StartedProgram("/bin/sh", ["-c", script, "sh", zioPath, "run", "--stats", file, "--"]);
  await started.ended;
  expect(started.lines).toEqual(["300", "SigIgn:\t0000000000000001"]);
});
