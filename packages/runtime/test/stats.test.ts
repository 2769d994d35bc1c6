import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeRunDirectory, userStatsDirectory } from "../src/stats/directory.js";
import { startTicksOf } from "../src/stats/live-processes.js";
import { countersPage } from "./support/counters-page.js";
import { runZio, zioPath } from "./support/run-zio.js";
import { StartedProgram, until } from "./support/started-zio.js";

// The pages are made by hand, for real processes: these tests are about the reader.
const made: string[] = [];
let sleeper: StartedProgram;
let directory: string;

beforeEach(() => {
  sleeper = new StartedProgram("sleep", ["60"]);
  directory = mkdtempSync(join(tmpdir(), "zio-stats-"));
});
afterEach(() => {
  sleeper.dispose();
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
  rmSync(directory, { recursive: true });
});

function writePage(path: string, page: Parameters<typeof countersPage>[0]): string {
  mkdirSync(userStatsDirectory(), { recursive: true, mode: 0o700 });
  writeFileSync(path, countersPage(page), { mode: 0o600 });
  made.push(path);
  return path;
}

/** Other tests may run on this machine at this moment. */
const inUserDirectory = (name: string) => join(userStatsDirectory(), `test-${process.pid}-${name}`);

function pageOfSleeper(name: string, changes: Partial<Parameters<typeof countersPage>[0]> = {}): string {
  const counters = { elidedBytes: 3 * 1024 ** 2, faults: 42, "fallbacks.pinned-page": 5 };
  const page = { pid: sleeper.pid, startTicks: startTicksOf(sleeper.pid)!, command: "napper", counters };
  return writePage(name.includes("/") ? name : inUserDirectory(name), { ...page, ...changes });
}

const processesOf = (stdout: string) => JSON.parse(stdout).processes as { pid: number; command: string }[];

test("a running process is listed with its counters", async () => {
  pageOfSleeper("1.0");
  const { stdout, status } = await runZio(["stats"]);
  expect(status).toBe(0);
  const line = stdout.split("\n").find((text) => text.startsWith(`${sleeper.pid} `));
  expect(line).toMatch(/^\d+ +napper +active +.* 3 MiB .* 42 /);
  expect(stdout.split("\n")[0]).toMatch(/^pid +command +state +redirected +elided/);
});

test("the JSON has a version and a record for each process", async () => {
  pageOfSleeper("1.0");
  const { stdout } = await runZio(["stats", "--json"]);
  expect(JSON.parse(stdout).version).toBe(1);
  expect(processesOf(stdout).find(({ pid }) => pid === sleeper.pid)).toMatchObject({
    command: "napper",
    policy: "always",
    state: "active",
    elidedBytes: 3 * 1024 ** 2,
    faults: 42,
    fallbacks: { "pinned-page": 5 },
  });
});

test("one process is shown with every counter", async () => {
  pageOfSleeper("1.0");
  const { stdout } = await runZio(["stats", String(sleeper.pid)]);
  expect(stdout).toMatch(/^napper \(\d+\): active, policy always\n/);
  expect(stdout).toMatch(/^elidedBytes +3145728 +3 MiB$/m);
  expect(stdout).toMatch(/^fallbacks.pinned-page +5$/m);
});

test("a page of a dead process and one of a recycled pid are removed", async () => {
  const dead = writePage(inUserDirectory("dead"), { pid: 4_194_303 });
  const recycled = pageOfSleeper("recycled", { startTicks: 1 });
  const { stdout } = await runZio(["stats", "--json"]);
  expect(processesOf(stdout).some(({ pid }) => pid === sleeper.pid)).toBe(false);
  expect([existsSync(dead), existsSync(recycled)]).toEqual([false, false]);
});

test("of a process that replaced its program the last page is shown", async () => {
  for (const ordinal of [0, 10, 9]) pageOfSleeper(`1.${ordinal}`, { command: `program${ordinal}` });
  const { stdout } = await runZio(["stats", "--json"]);
  expect(processesOf(stdout).filter(({ pid }) => pid === sleeper.pid)).toMatchObject([{ command: "program10" }]);
});

test("processes of a run with --stats are listed while it lasts", async () => {
  const words = ["run", "--policy", "off", "--stats", join(directory, "stats.json")];
  const run = new StartedProgram(zioPath, [...words, "--", "sh", "-c", "echo $ZIO_STATS; exec sleep 60"]);
  try {
    const pages = await run.line(/^\//);
    pageOfSleeper(join(pages, "1.0"));
    const { stdout } = await runZio(["stats", "--json"]);
    expect(processesOf(stdout).filter(({ pid }) => pid === sleeper.pid)).toMatchObject([{ command: "napper" }]);
  } finally {
    run.child.kill("SIGTERM");
    await run.ended;
  }
});

test("the directory of a run whose owner was killed is removed, one with a living owner is not", async () => {
  const [kept, ours] = [makeRunDirectory(), makeRunDirectory()];
  const abandoned = ours.replace(`run-${process.pid}-`, "run-4194303-");
  made.push(kept, ours, abandoned);
  writeFileSync(join(ours, "1.1.0"), countersPage({ pid: 4_194_303 }));
  renameSync(ours, abandoned); // from now on any `zio stats` removes it
  expect(abandoned).not.toBe(ours);
  await runZio(["stats"]);
  expect([existsSync(abandoned), existsSync(kept)]).toEqual([false, true]);
});

test("pages that come and go meanwhile do not hide the others", async () => {
  pageOfSleeper("1.0");
  const busy = new StartedProgram(zioPath, ["run", "--policy", "off", "sh", "-c", "while :; do /bin/true; done"]);
  try {
    for (let round = 0; round < 5; round++) {
      const { stdout } = await runZio(["stats", "--json"]);
      expect(processesOf(stdout).some(({ pid }) => pid === sleeper.pid)).toBe(true);
    }
  } finally {
    busy.dispose();
  }
});

test("a process whose ZIO_STATS names another directory is found by its pid", async () => {
  const other = new StartedProgram("sleep", ["60"], { ...process.env, ZIO_STATS: directory });
  try {
    await until(() => readFileSync(`/proc/${other.pid}/comm`, "latin1") === "sleep\n", "sleep to start");
    writePage(join(directory, "1"), { pid: other.pid, startTicks: startTicksOf(other.pid)!, command: "elsewhere" });
    expect((await runZio(["stats", String(other.pid)])).stdout).toMatch(/^elsewhere /);
  } finally {
    other.dispose();
  }
});

test("what is no page is left alone", async () => {
  const path = inUserDirectory("other");
  mkdirSync(userStatsDirectory(), { recursive: true, mode: 0o700 });
  writeFileSync(path, "hello");
  made.push(path);
  expect(await runZio(["stats"])).toMatchObject({ status: 0, stderr: "" });
  expect(existsSync(path)).toBe(true);
});

test("a process that is not under zIO, or not there, is one line and status 1", async () => {
  expect(await runZio(["stats", String(sleeper.pid)])).toMatchObject({
    status: 1,
    stdout: "",
    stderr: `zio: process ${sleeper.pid} does not run under zIO, or is another user's; start it with \`zio run -- command\`\n`,
  });
  expect(await runZio(["stats", "4194303"])).toMatchObject({ status: 1, stderr: "zio: there is no process 4194303\n" });
  expect(await runZio(["stats", "x"])).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/It takes a process ID/),
  });
});

test("--watch ends well also where the process has taken its page away and is not gone yet", async () => {
  const page = pageOfSleeper("1.0");
  const words = ["stats", String(sleeper.pid), "--json", "--watch", "--interval", "0.05"];
  const watching = new StartedProgram(zioPath, words);
  try {
    await until(() => watching.lines.length >= 1, "the first line");
    rmSync(page);
    expect(await watching.ended).toEqual({ status: 0, signal: null });
    expect(watching.stderr).toBe("");
  } finally {
    watching.dispose();
  }
});

test("--watch shows a process again and again until it is gone", async () => {
  pageOfSleeper("1.0");
  const watching = new StartedProgram(zioPath, [
    "stats",
    String(sleeper.pid),
    "--json",
    "--watch",
    "--interval",
    "0.05",
  ]);
  try {
    await until(() => watching.lines.length >= 3, "three refreshes");
    for (const line of watching.lines) expect(processesOf(line)).toMatchObject([{ faults: 42 }]);
    sleeper.dispose();
    expect(await watching.ended).toEqual({ status: 0, signal: null });
  } finally {
    watching.dispose();
  }
});
