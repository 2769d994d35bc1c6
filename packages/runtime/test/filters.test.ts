// Trap 5: seccomp filters that are there when a program starts, as the command and the doctor see them.
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capabilities, seccompFilters } from "@zio/fault-handler";
import { libraryPath, preloadablePath } from "@zio/interpose";
import { expect, test } from "vitest";
import { checkSeccomp, seccompProblem } from "../src/doctor/seccomp.js";
import { compileProgram, zioPath } from "./support/run-zio.js";

/** Under the one that the tests add; undefined where the kernel does not tell. */
const filters = (seccompFilters() ?? Number.NaN) + 1;
const input = randomFillSync(Buffer.alloc(1024 * 1024));
const clean = { ...process.env, LD_PRELOAD: undefined, ZIO_SECCOMP: undefined };

async function underFilter(action: string, words: string[], env: NodeJS.ProcessEnv = {}) {
  const filter = await compileProgram("with_seccomp.c");
  return spawnSync(filter, [action, ...words], { input, maxBuffer: 1 << 24, env: { ...clean, ...env } });
}

interface Diagnosis {
  works: boolean;
  checks: { id: string; state: string; reason: string; fix: string }[];
}

async function diagnose(action: string, env: NodeJS.ProcessEnv = {}): Promise<Diagnosis> {
  const { stdout } = await underFilter(action, [zioPath, "doctor", "--json"], env);
  return JSON.parse(stdout.toString()) as Diagnosis;
}

const find = ({ checks }: Diagnosis, wanted: string) => checks.find(({ id }) => id === wanted);

test("zio run tries the filter out and the program elides under it", async ({ skip }) => {
  skip(!capabilities({ disable: ["syscall"] }).available, "no /dev/userfaultfd");
  const directory = mkdtempSync(join(tmpdir(), "zio-filters-"));
  const record = join(directory, "record");
  const program = await compileProgram("copy_through.c");
  const words = [zioPath, "run", "--policy", "always", "--stats", record, "--", program];
  const { status, stdout, stderr } = await underFilter("EPERM", words);
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: "" });
  expect(stdout.equals(input)).toBe(true);
  const { redirectedBytes } = JSON.parse(readFileSync(record, "utf8")) as { redirectedBytes: number };
  expect(redirectedBytes).toBeGreaterThan(0);
  rmSync(directory, { recursive: true });
});

test("preloaded without a word about the filter the library does nothing at all", async () => {
  const program = await compileProgram("copy_through.c");
  const variables = [`LD_PRELOAD=${preloadablePath(libraryPath())}`, "ZIO_POLICY=always", "ZIO_LOG=stderr"];
  const { status, stdout, stderr } = await underFilter("kill", ["/usr/bin/env", ...variables, program]);
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: "" });
  expect(stdout.equals(input)).toBe(true);
});

test("zio env prints the number of filters under which zIO works", async ({ skip }) => {
  skip(!capabilities({ disable: ["syscall"] }).available, "no /dev/userfaultfd");
  const { stdout } = await underFilter("EPERM", [zioPath, "env", "--json"]);
  const { variables } = JSON.parse(stdout.toString()) as { variables: Record<string, string> };
  expect(variables.ZIO_SECCOMP).toBe(String(filters));
});

test("the doctor says what to set under a filter", async ({ skip }) => {
  skip(!capabilities({ disable: ["syscall"] }).available, "no /dev/userfaultfd");
  const found = await diagnose("EPERM");
  expect(find(found, "seccomp")).toMatchObject({ state: "limited", fix: `use zio run, or set ZIO_SECCOMP=${filters}` });
  expect(found.works).toBe(true);
});

test.each(["EPERM", "ENOSYS", "kill"])(
  "the doctor explains a filter that answers userfaultfd(2) with %s, without the device",
  async (action) => {
    const found = await diagnose(action, { ZIO_DISABLE: "device" });
    expect(found.works).toBe(false);
    expect(find(found, "userfaultfd")).toMatchObject({ state: "missing", reason: expect.stringMatching(/seccomp/) });
  },
);

test("filters whose number is unknown are a reason to run plain, with a fix", () => {
  expect(checkSeccomp(0)).toMatchObject({ state: "ok" });
  expect(checkSeccomp(2)).toMatchObject({ state: "limited", reason: expect.stringMatching(/^2 filters/) });
  expect(seccompProblem(2)).toBeUndefined();
  expect(seccompProblem(undefined)).toMatchObject({ fix: expect.stringMatching(/Linux 5\.9/) });
  expect(checkSeccomp(undefined)).toMatchObject({ state: "missing" });
});
