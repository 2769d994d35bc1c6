// Case 19: users, namespaces and root directories in which programs start, and other libraries that start with them.
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { environment, libraryPath, readStatsDirectory } from "@zio/interpose";
import { afterEach, beforeEach, describe, expect, type TestContext, test } from "vitest";
import { userfaultfdProblem } from "../src/doctor/userfaultfd.js";
import { asNobody, compileProgram, nobodyProblem, unavailableLine, zioPath } from "./support/run-zio.js";

const input = randomFillSync(Buffer.alloc(3 * 1024 * 1024 + 77));
const isRoot = process.geteuid?.() === 0;
const group = 4242;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-environments-"));
  chmodSync(directory, 0o777);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Diagnosis {
  works: boolean;
  checks: { id: string; state: string; reason: string; fix: string }[];
}

function run(command: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = spawnSync(command[0]!, command.slice(1), {
    input,
    cwd: "/",
    maxBuffer: 1 << 24,
    env: { ...process.env, LD_PRELOAD: undefined, ...env },
  });
  return { status, stdout, stderr: stderr.toString() };
}

const policies = [["always"], ["learn", "--costs", "elide=0,input=0,overwrite=0,fault=0,page=0"]];

/** Runs copy_through by way of `by`, under zio, and returns what was said and how many bytes were elided at least. */
async function copyThrough(by: string[], before: string[] = []) {
  const program = await compileProgram("copy_through.c");
  const record = join(directory, "record");
  const runs = policies.map((policy) => {
    rmSync(record, { force: true });
    const words = ["run", "--policy", ...policy, "--stats", record, "--", ...before, program];
    const { status, stdout, stderr } = run([...by, zioPath, ...words]);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout.equals(input)).toBe(true);
    const elided = existsSync(record) ? (JSON.parse(readFileSync(record, "utf8")).elidedBytes as number) : 0;
    return { said: stderr, elided };
  });
  expect(new Set(runs.map(({ said }) => said)).size).toBe(1);
  return { said: runs[0]!.said, elided: Math.min(...runs.map(({ elided }) => elided)) };
}

function diagnose(by: string[]) {
  const { stdout, status } = run([...by, zioPath, "doctor", "--json"]);
  const { works, checks } = JSON.parse(stdout.toString()) as Diagnosis;
  expect(status).toBe(works ? 0 : 1);
  return { works, find: (wanted: string) => checks.find(({ id }) => id === wanted) };
}

/** Words that run what follows in mounts of its own, after `script`, whose $1 to $3 are `values`. */
function inOwnMounts(script: string, ...values: string[]): string[] {
  const body = `${script}; shift ${values.length}; exec "$@"`;
  return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", body, "sh", ...values];
}

function needRoot({ skip }: TestContext): void {
  skip(!isRoot, "only root can mount and become another user");
  const probe = run([...inOwnMounts(":"), "true"]);
  skip(probe.status !== 0, `no mounts of our own can be had: ${probe.stderr}`);
}

/** Nobody, with a device that a group may open, in `groups`. */
function withDeviceOfGroup(context: TestContext, groups: string[]): string[] {
  needRoot(context);
  const problem = nobodyProblem();
  context.skip(problem !== false, problem || "");
  context.skip(!existsSync("/dev/userfaultfd"), "no /dev/userfaultfd");
  const device = join(directory, "device");
  const numbers = spawnSync("stat", ["-c", "0x%t 0x%T", "/dev/userfaultfd"], { encoding: "utf8" }).stdout.trim();
  const made = spawnSync("mknod", ["-m", "660", device, "c", ...numbers.split(" ").map((n) => `${Number(n)}`)]);
  context.skip(made.status !== 0, "no devices can be made here");
  const mount = `chown 0:${group} "$1"; mount --bind "$1" /dev/userfaultfd`;
  return [...inOwnMounts(mount, device), "setpriv", "--reuid", "65534", "--regid", "65534", ...groups];
}

test("an ordinary user in the group of /dev/userfaultfd has copies elided", async (context) => {
  const by = withDeviceOfGroup(context, ["--groups", String(group)]);
  const { said, elided } = await copyThrough(by);
  expect(said).toBe("");
  expect(elided).toBeGreaterThan(input.length);
  const { works, find } = diagnose(by);
  expect(works).toBe(true);
  expect(find("userfaultfd-device")).toMatchObject({ state: "ok" });
  expect(find("userfaultfd-syscall")).toMatchObject({ state: "limited" });
});

test("one who is not in that group has one line, and the doctor's fix", async (context) => {
  const by = withDeviceOfGroup(context, ["--clear-groups"]);
  context.skip(readFileSync("/proc/sys/vm/unprivileged_userfaultfd", "latin1").trim() === "1", "everybody may");
  const { said, elided } = await copyThrough(by);
  expect(said).toMatch(new RegExp(`^${unavailableLine.source}$`));
  expect(elided).toBe(0);
  const { works, find } = diagnose(by);
  expect(works).toBe(false);
  expect(find("userfaultfd")).toMatchObject({ state: "missing", fix: expect.stringMatching(/\/dev\/userfaultfd/) });
  expect(find("permissions")).toMatchObject({ reason: expect.stringMatching(/^user 65534, without CAP_SYS_PTRACE/) });
});

test("where the device is not there, the fix is to pass it in", async (context) => {
  needRoot(context);
  const problem = nobodyProblem();
  context.skip(problem !== false, problem || "");
  context.skip(readFileSync("/proc/sys/vm/unprivileged_userfaultfd", "latin1").trim() === "1", "everybody may");
  const empty = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3";
  context.skip(run([...inOwnMounts(empty), "true"]).status !== 0, "no devices can be made here");
  const user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
  const by = [...inOwnMounts(empty), ...user];
  const { said, elided } = await copyThrough(by);
  expect(said).toMatch(/there is no device, so the command runs unchanged; pass in \/dev\/userfaultfd/);
  expect(elided).toBe(0);
  const { works, find } = diagnose(by);
  expect(works).toBe(false);
  expect(find("userfaultfd")).toMatchObject({ state: "missing", fix: expect.stringMatching(/^pass in /) });
  const masked = diagnose([...by, "env", "ZIO_DISABLE=syscall"]);
  expect(masked.find("userfaultfd")?.fix).toMatch(/^pass the device in/);
});

test("preloaded without a word for such a user, the library passes through and counts why", async (context) => {
  const by = withDeviceOfGroup(context, ["--clear-groups"]);
  context.skip(readFileSync("/proc/sys/vm/unprivileged_userfaultfd", "latin1").trim() === "1", "everybody may");
  const program = await compileProgram("copy_through.c");
  const set = environment({ base: {}, library: libraryPath(), policy: "always", statsDirectory: directory });
  const variables = Object.entries(set).map(([name, value]) => `${name}=${value}`);
  const { status, stdout, stderr } = run([...by, "env", ...variables, program]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.equals(input)).toBe(true);
  rmSync(join(directory, "device"));
  const { processes, totals } = readStatsDirectory(directory);
  const state = processes.find(({ command }) => command === "copy_through")?.state;
  expect(state).toMatch(/^unavailable: not permitted to serve the kernel's own faults/);
  expect(totals).toMatchObject({ redirectedBytes: 0, elidedBytes: 0, "fallbacks.unavailable": 1 });
});

describe("in a user namespace", () => {
  const inNamespace = ["unshare", "--user", "--map-root-user"];
  const canEnter = () => run([...inNamespace, "true"]).status === 0;

  test("whoever may open the device has copies elided", async ({ skip }) => {
    skip(!canEnter(), "no user namespaces here");
    skip(userfaultfdProblem(["syscall"]) !== undefined, "no access to /dev/userfaultfd");
    const { said, elided } = await copyThrough(inNamespace);
    expect(said).toBe("");
    expect(elided).toBeGreaterThan(input.length);
    expect(diagnose(inNamespace).find("permissions")).toMatchObject({
      state: "ok",
      reason: expect.stringMatching(/^root, in a user namespace, whose capabilities do not count here; vm\./),
    });
  });

  test("its root has no more rights than whoever made it: one line, and the doctor says why", async (context) => {
    const problem = nobodyProblem();
    context.skip(problem !== false, problem || "");
    const by = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", ...inNamespace];
    context.skip(run([...by, "true"]).status !== 0, "an ordinary user may make no user namespaces here");
    context.skip(spawnSync("sh", ["-c", "exec 3<>/dev/userfaultfd"], asNobody).status === 0, "everybody may open it");
    const { said, elided } = await copyThrough(by);
    expect(said).toMatch(new RegExp(`^${unavailableLine.source}$`));
    expect(elided).toBe(0);
    const { works, find } = diagnose(by);
    expect(works).toBe(false);
    expect(find("permissions")).toMatchObject({
      state: "limited",
      reason: expect.stringMatching(/in a user namespace, whose capabilities do not count here/),
      fix: expect.stringMatching(/\/dev\/userfaultfd|unprivileged_userfaultfd/),
    });
  });
});

describe("started in another root directory", () => {
  const root = () => join(directory, "root");
  const chroot = (mounts: string) => {
    mkdirSync(root());
    return [...inOwnMounts(`mount --bind / "$1"; ${mounts}`, root()), "chroot", root()];
  };

  test("with /proc and /dev programs have copies elided", async (context) => {
    needRoot(context);
    const mounts = 'mount --rbind /proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --rbind /tmp "$1/tmp"';
    const { said, elided } = await copyThrough(chroot(mounts));
    expect(said).toBe(userfaultfdProblem() ? expect.stringMatching(unavailableLine) : "");
    if (!userfaultfdProblem()) expect(elided).toBeGreaterThan(input.length);
  });

  test("without /proc the command runs unchanged after one line, and the doctor says so", async (context) => {
    needRoot(context);
    const by = chroot('mount --rbind /tmp "$1/tmp"');
    const { said, elided } = await copyThrough(by);
    expect(said).toBe("zio: /proc is not mounted here, so the command runs unchanged\n");
    expect(elided).toBe(0);
    const { works, find } = diagnose(by);
    expect(works).toBe(false);
    expect(find("proc")).toMatchObject({ state: "missing", fix: "mount -t proc proc /proc" });
  });

  test("preloaded without /proc the library does nothing at all", async (context) => {
    needRoot(context);
    const program = await compileProgram("copy_through.c");
    const library = join(directory, "libzio.so"); // below /tmp, and LD_PRELOAD can name it
    symlinkSync(libraryPath(), library);
    const variables = [`LD_PRELOAD=${library}`, "ZIO_POLICY=always", "ZIO_LOG=stderr"];
    const by = chroot('mount --rbind /tmp "$1/tmp"');
    const { status, stdout, stderr } = run([...by, "env", ...variables, program]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.equals(input)).toBe(true);
  });
});

test("under a low limit of descriptors the doctor says that zIO stays off, and how many it needs", () => {
  for (const limit of ["ulimit -n 40", "ulimit -S -n 40"]) {
    const { works, find } = diagnose(["sh", "-c", `${limit}; exec "$@"`, "sh"]);
    expect(works).toBe(false);
    const reason = "only 40 are allowed (RLIMIT_NOFILE) and zIO stays off below 64";
    expect(find("descriptors")).toMatchObject({ state: "missing", reason, fix: "ulimit -n 64, or more" });
  }
  expect(diagnose(["sh", "-c", 'ulimit -S -n 64; exec "$@"', "sh"]).find("descriptors")).toMatchObject({ state: "ok" });
});

// Debian: coreutils, fakeroot, eatmydata. Each puts its library into LD_PRELOAD, ours comes before it or after it.
describe.each([
  ["stdbuf", ["stdbuf", "-o0", "-i0"]],
  ["fakeroot", ["fakeroot"]],
  ["eatmydata", ["eatmydata"]],
])("with %s", (name, words) => {
  const isThere = () => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;

  test.for(["before", "after"])("started %s zio run, a program has copies elided", async (where, { skip }) => {
    skip(!isThere(), `${name} is not installed`);
    const { said, elided } = where === "before" ? await copyThrough(words) : await copyThrough([], words);
    expect(said).toBe(userfaultfdProblem() ? expect.stringMatching(unavailableLine) : "");
    if (!userfaultfdProblem()) expect(elided).toBeGreaterThan(input.length);
  });
});
