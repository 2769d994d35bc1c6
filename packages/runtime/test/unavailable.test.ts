// Case 19: where zIO cannot work, or has little room, the program runs as it would without it, and `zio run` says at
// most one line.

import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { chmodSync } from "node:fs";
import { dirname } from "node:path";
import { expect, test } from "vitest";
import { userfaultfdProblem } from "../src/doctor/userfaultfd.js";
import {
  asNobody,
  compileProgram,
  nobodyHasUserfaultfd,
  nobodyProblem,
  unavailableLine,
  zioPath,
} from "./support/run-zio.js";

/** Whether the tests' own user has userfaultfd. */
const isAvailable = userfaultfdProblem() === undefined;
const input = randomFillSync(Buffer.alloc(3 * 1024 * 1024 + 77));
const unavailable = new RegExp(`^${unavailableLine.source}$`);

interface Options {
  /** Shell text before the command, such as a limit. */
  before?: string;
  /** A program and words that start the command. */
  by?: string[];
  words?: string[];
  ordinaryUser?: boolean;
}

/** Runs copy_through under `zio run --policy always`, checks its output and returns its messages. */
async function copyThrough({ before = "", by = [], words = [], ordinaryUser = false }: Options): Promise<string> {
  const program = await compileProgram("copy_through.c");
  const command = [...by, zioPath, "run", "--policy", "always", ...words, "--", program];
  const result = spawnSync("/bin/sh", ["-c", `${before} exec "$@"`, "sh", ...command], {
    input,
    cwd: "/",
    maxBuffer: 1 << 24,
    env: { ...process.env, LD_PRELOAD: undefined },
    ...(ordinaryUser ? asNobody : {}),
  });
  expect({ status: result.status, signal: result.signal, stderr: result.stderr.toString() }).toMatchObject({
    status: 0,
    signal: null,
  });
  expect(result.stdout.equals(input)).toBe(true);
  return result.stderr.toString();
}

const withSeccomp = async (action: string) => {
  const path = await compileProgram("with_seccomp.c");
  chmodSync(dirname(path), 0o755);
  return [path, action];
};

test("an ordinary user without the device has one line", async ({ skip }) => {
  const problem = nobodyProblem();
  skip(problem !== false, problem || "");
  skip(nobodyHasUserfaultfd(), "every user may open /dev/userfaultfd here");
  expect(await copyThrough({ ordinaryUser: true })).toMatch(unavailable);
});

test.each(["EPERM", "ENOSYS", "kill"])(
  "a filter that answers userfaultfd(2) with %s, and no device, is one line",
  async (action) => {
    const by = await withSeccomp(action);
    expect(await copyThrough({ by, words: ["--disable", "device"] })).toMatch(unavailable);
  },
);

test.each(["EPERM", "ENOSYS", "kill"])(
  "with the device a filter that answers userfaultfd(2) with %s does no harm",
  async (action) => {
    expect(await copyThrough({ by: await withSeccomp(action) })).toMatch(isAvailable ? /^$/ : unavailable);
  },
);

test("a masked userfaultfd, by the user's own word, is silent", async () => {
  expect(await copyThrough({ words: ["--disable", "userfaultfd"] })).toBe("");
});

test.each([
  ["few descriptors", "ulimit -n 40;"],
  ["no room for core dumps and locked memory", "ulimit -c 0; ulimit -l 0;"],
  ["symbols bound at the start", "LD_BIND_NOW=1; export LD_BIND_NOW;"],
  ["no HOME, PATH or other variables", "unset HOME TMPDIR LANG USER XDG_RUNTIME_DIR;"],
])("%s: the program runs and nothing is said", async (_, before) => {
  const said = await copyThrough({ before });
  expect(said === "" || unavailable.test(said)).toBe(true);
});

test.each([
  ["memory", "ulimit -v 500000;"],
  ["descriptors", "ulimit -n 16;"],
])("limits of %s that Node cannot live with: the program runs unchanged after one line", async (_, before) => {
  expect(await copyThrough({ before })).toBe(
    "zio: Node cannot start under these limits (ulimit -a), so the command runs unchanged\n",
  );
});

test("a command that runs unchanged has its own options for Node", () => {
  const script = 'ulimit -n 16; export NODE_OPTIONS=--no-warnings; exec "$1" run -- sh -c "echo \\$NODE_OPTIONS"';
  const { stdout } = spawnSync("/bin/sh", ["-c", script, "sh", zioPath], { encoding: "utf8" });
  expect(stdout).toBe("--no-warnings\n");
});

test.each(["ulimit -v 8000000;", "ulimit -S -v 500000;"])(
  "a limit of address space (%s) is one line",
  async (before) => {
    const line =
      /^zio: the address space is limited to .* \(RLIMIT_AS\), so the command runs unchanged; ulimit -v unlimited\n$/;
    expect(await copyThrough({ before })).toMatch(isAvailable ? line : unavailable);
  },
);

test("with every descriptor taken the program runs unchanged", async () => {
  const before = 'ulimit -n 60; eval "$(seq 3 9 | sed "s/.*/exec &<\\/dev\\/null;/")"';
  const said = await copyThrough({ before: `${before};` });
  expect(said === "" || unavailable.test(said)).toBe(true);
});

test("standard error closed: the program runs", async () => {
  const program = await compileProgram("copy_through.c");
  const script = '"$@" 2>&-';
  const words = [zioPath, "run", "--policy", "always", "--", program];
  const { status, stdout } = spawnSync("/bin/sh", ["-c", script, "sh", ...words], { input, maxBuffer: 1 << 24 });
  expect(status).toBe(0);
  expect(stdout.equals(input)).toBe(true);
});
