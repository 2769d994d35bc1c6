import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkKernel, isReadableByAll } from "../src/doctor/machine-checks.js";
import { cgroupLimit, describeBytes, softLimit } from "../src/doctor/proc.js";
import {
  asNobody,
  compileProgram,
  nobodyHasUserfaultfd,
  nobodyProblem,
  runZio,
  unavailableLine,
  zioPath,
} from "./support/run-zio.js";

interface Printed {
  version: number;
  works: boolean;
  checks: { id: string; title: string; state: string; reason: string; fix: string }[];
}

async function diagnose(words: string[] = []): Promise<{ printed: Printed; status: number | null }> {
  const { stdout, status } = await runZio(["doctor", "--json", ...words]);
  return { printed: JSON.parse(stdout), status };
}

test("every capability has its check with a state and a reason, and a fix where one is needed", async () => {
  const { printed, status } = await diagnose();
  expect(printed.version).toBe(1);
  const ids = printed.checks.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of [
    "kernel",
    "libc",
    "library",
    "userfaultfd",
    "seccomp",
    "container",
    "map-count",
    "address-space",
    "memory",
    "threads",
    "counters",
  ]) {
    expect(ids).toContain(id);
  }
  for (const { state, reason, fix } of printed.checks) {
    expect(reason).not.toBe("");
    if (state === "missing" || state === "limited") expect(fix).not.toBe("");
    if (state === "ok") expect(fix).toBe("");
  }
  expect(printed.works).toBe(printed.checks.every(({ state }) => state !== "missing"));
  expect(status).toBe(printed.works ? 0 : 1);
});

test("for people there is a line for each capability and a closing sentence, without colour in a pipe", async () => {
  const { printed } = await diagnose();
  const { stdout } = await runZio(["doctor"]);
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(printed.checks.length + 2);
  expect(lines.at(-1)).toMatch(/^zIO can/);
  expect(stdout).not.toContain("\x1b");
});

test("a program is examined as well", async () => {
  const dynamic = await diagnose(["sh"]);
  expect(dynamic.printed.checks.at(-1)).toMatchObject({
    id: "target",
    state: "ok",
    reason: expect.stringMatching(/\/sh, loaded by /),
  });
  const static_ = await diagnose([await compileProgram("idle.c", ["-static"])]);
  expect(static_.printed.checks.at(-1)).toMatchObject({
    id: "target",
    state: "missing",
    reason: "idle is linked statically",
  });
  expect(static_.status).toBe(1);
  const missing = await diagnose(["zio-test-missing"]);
  expect(missing.printed.checks.at(-1)).toMatchObject({ state: "missing", reason: "it is not on the PATH" });
});

test("an ordinary user without the device is told how to get it, and zio run says so once", ({ skip }) => {
  const problem = nobodyProblem();
  skip(problem !== false, problem || "");
  skip(nobodyHasUserfaultfd(), "every user may open /dev/userfaultfd here");
  const as = { ...asNobody, encoding: "utf8" } as const;
  const diagnosis = spawnSync(zioPath, ["doctor", "--json"], as);
  expect(diagnosis.status).toBe(1);
  const check = (JSON.parse(diagnosis.stdout) as Printed).checks.find(({ id }) => id === "userfaultfd");
  expect(check).toMatchObject({ state: "missing", fix: expect.stringMatching(/\/dev\/userfaultfd/) });
  const run = spawnSync(zioPath, ["run", "--", "sh", "-c", "true; sh -c true; exit 4"], as);
  expect(run.status).toBe(4);
  expect(run.stderr).toMatch(unavailableLine);
  expect(run.stderr.split("\n")).toHaveLength(2);
});

test.each([
  ["6.18.44", "ok"],
  ["5.15.0-100-generic", "ok"],
  ["4.18.0", "ok"],
  ["4.17.9", "missing"],
  ["3.10.0-1160.el7.x86_64", "missing"],
])("Linux %s is %s", (release, state) => {
  expect(checkKernel(release)).toMatchObject({ state });
});

test("a masked feature is shown as limited, with what is lost", async () => {
  const { stdout } = await runZio(["doctor", "--json"], { env: { ZIO_DISABLE: "move" } });
  const { checks, works } = JSON.parse(stdout) as Printed;
  const check = checks.find(({ id }) => id === "feature-move");
  if (works) expect(check).toMatchObject({ state: "limited", fix: "take move out of ZIO_DISABLE" });
});

test("a masked userfaultfd means that zIO cannot work", async () => {
  const { stdout, status } = await runZio(["doctor", "--json"], { env: { ZIO_DISABLE: "userfaultfd" } });
  expect(status).toBe(1);
  const check = (JSON.parse(stdout) as Printed).checks.find(({ id }) => id === "userfaultfd");
  expect(check).toMatchObject({ state: "missing", reason: "userfaultfd is masked by ZIO_DISABLE" });
});

test("a file under a private directory is not readable by all", () => {
  const directory = mkdtempSync(join(tmpdir(), "zio-doctor-"));
  const file = join(directory, "file");
  writeFileSync(file, "");
  chmodSync(file, 0o644);
  expect(isReadableByAll("/bin/sh")).toBe(true);
  expect(isReadableByAll(file)).toBe(false);
  chmodSync(directory, 0o711);
  expect(isReadableByAll(file)).toBe(true);
  chmodSync(file, 0o600);
  expect(isReadableByAll(file)).toBe(false);
  rmSync(directory, { recursive: true });
});

test("limits are read from the kernel's tables", () => {
  const limits =
    "Limit  Soft Limit  Hard Limit  Units\nMax address space         unlimited  unlimited  bytes\nMax processes             63  100  processes\n";
  expect(softLimit("Max address space", limits)).toBe(Number.POSITIVE_INFINITY);
  expect(softLimit("Max processes", limits)).toBe(63);
  expect(softLimit("Max unknown", limits)).toBeUndefined();
});

test("a limit of address space is seen", async ({ skip }) => {
  const script = 'ulimit -v 100000000 && exec "$0" doctor --json';
  const { stdout, status } = spawnSync("sh", ["-c", script, zioPath], { encoding: "utf8" });
  skip(status === null || stdout === "", "node does not start under this limit");
  const check = (JSON.parse(stdout) as Printed).checks.find(({ id }) => id === "address-space");
  expect(check).toMatchObject({ state: "missing", reason: "the address space is limited to 95.4 GiB (RLIMIT_AS)" });
});

test("a cgroup that is not there sets no limit", () => {
  expect(cgroupLimit("memory", "0::/zio-test-missing\n12:memory:/zio-test-missing\n")).toBe(
    cgroupLimit("memory", "0::/\n1:memory:/\n"),
  );
  expect(cgroupLimit("memory", "")).toBeUndefined();
  expect(existsSync("/sys/fs/cgroup/zio-test-missing")).toBe(false);
});

test.each([
  [0, "0 bytes"],
  [1023, "1023 bytes"],
  [1536, "1.5 KiB"],
  [512 * 1024 ** 2, "512 MiB"],
  [23.5 * 1024 ** 3, "23.5 GiB"],
  [Number.POSITIVE_INFINITY, "unlimited"],
])("%d bytes are written as %s", (sizeBytes, text) => {
  expect(describeBytes(sizeBytes)).toBe(text);
});
