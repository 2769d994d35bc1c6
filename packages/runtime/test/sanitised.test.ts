// Case 19: programs that load a sanitizer's runtime as a shared object, which must come before any other library.
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inspectTarget } from "../src/target/inspect-target.js";
import { compileProgram, withoutUnavailable, zioPath } from "./support/run-zio.js";

const input = randomFillSync(Buffer.alloc(1024 * 1024 + 77));
const env = { ...process.env, LD_PRELOAD: undefined };
/** gcc sees what the program does wrong on purpose. */
const quiet = "-Wno-use-after-free";

function run(command: string[], extra: NodeJS.ProcessEnv = {}) {
  const options = { input, env: { ...env, ...extra }, maxBuffer: 1 << 24 };
  const { status, signal, stdout, stderr } = spawnSync(command[0]!, command.slice(1), options);
  return { status, signal, stdout, stderr: stderr.toString() };
}

/** Process IDs, addresses and times in a report differ from run to run. */
const comparable = (report: string) => report.replace(/0x[0-9a-f]+|\d+/g, "N");

const sanitisers = [
  ["address", "AddressSanitizer", "freed"],
  ["thread", "ThreadSanitizer", "race"],
  ["leak", "LeakSanitizer", "freed"],
] as const;

describe.each(sanitisers)("-fsanitize=%s", (kind, name, mistake) => {
  const compile = (flags: string[] = []) => compileProgram("sanitised.c", [`-fsanitize=${kind}`, quiet, ...flags]);
  const line = new RegExp(
    `^zio: sanitised loads ${name} \\(lib.san\\.so\\.\\d+\\), which must come before any other library, so it runs ` +
      "unchanged; use a build of it without\n",
  );

  test("a program with its runtime as a shared object runs unchanged after one line", async () => {
    const program = await compile();
    const [plain, zio] = [run([program]), run([zioPath, "run", "--policy", "always", "--", program])];
    expect(zio.stderr).toMatch(line);
    expect(zio.stdout.equals(input)).toBe(true);
    expect({ ...zio, stderr: zio.stderr.replace(line, "") }).toEqual(plain);
    expect(zio.status).toBe(7);
  });

  test("what the sanitizer finds it finds", async () => {
    const program = await compile();
    const [plain, zio] = [run([program, mistake]), run([zioPath, "run", "--", program, mistake])];
    expect(zio.stdout.equals(plain.stdout)).toBe(true);
    expect(zio.status).toBe(plain.status);
    expect(comparable(zio.stderr.replace(line, ""))).toBe(comparable(plain.stderr));
    if (kind !== "leak") expect(plain.stderr).toContain(`WARNING: ${name}`.slice(kind === "thread" ? 0 : 9));
  });
});

// LeakSanitizer's own, linked statically by gcc 12, does not even start plain.
test.each(["address", "thread"])(
  "with -fsanitize=%s linked statically a program runs as it does plain",
  async (kind) => {
    const flags = [`-fsanitize=${kind}`, `-static-lib${kind[0]}san`, quiet];
    const program = await compileProgram("sanitised.c", flags);
    expect(inspectTarget(Buffer.from(program), undefined)).toMatchObject({ preloadable: true });
    const [plain, zio] = [run([program]), run([zioPath, "run", "--policy", "always", "--", program])];
    expect({ ...zio, stderr: withoutUnavailable(zio.stderr) }).toEqual(plain);
  },
);

test("UndefinedBehaviorSanitizer as a shared object is no obstacle", async () => {
  const program = await compileProgram("sanitised.c", ["-fsanitize=undefined", quiet]);
  expect(inspectTarget(Buffer.from(program), undefined)).toMatchObject({ preloadable: true });
  const [plain, zio] = [run([program]), run([zioPath, "run", "--policy", "always", "--", program])];
  expect({ ...zio, stderr: withoutUnavailable(zio.stderr) }).toEqual(plain);
});

test("a runtime that the user preloads is one line, and comes first", async ({ skip }) => {
  const found = spawnSync(process.env.CC ?? "cc", ["-print-file-name=libasan.so"], { encoding: "utf8" }).stdout.trim();
  const runtime = spawnSync("readlink", ["-f", found], { encoding: "utf8" }).stdout.trim();
  skip(!existsSync(runtime), "libasan.so is not installed");
  const program = await compileProgram("copy_through.c");
  const extra = { LD_PRELOAD: runtime, ASAN_OPTIONS: "detect_leaks=0" };
  const [plain, zio] = [run([program], extra), run([zioPath, "run", "--policy", "always", "--", program], extra)];
  expect(zio.stderr).toMatch(/^zio: copy_through loads AddressSanitizer .* so it runs unchanged; .*\n$/);
  expect(zio.stdout.equals(input) && plain.stdout.equals(input)).toBe(true);
  expect(zio.status).toBe(plain.status);
});

test("an interpreter with a sanitizer runs its scripts unchanged", async () => {
  const program = await compileProgram("sanitised.c", ["-fsanitize=address", quiet]);
  const directory = mkdtempSync(join(tmpdir(), "zio-sanitised-"));
  try {
    const script = join(directory, "script");
    const interpreter = join(directory, "sanitised"); // the line of a script cannot name a path with a space
    symlinkSync(program, interpreter);
    writeFileSync(script, `#!${interpreter}\n`);
    chmodSync(script, 0o755);
    const zio = run([zioPath, "run", "--", script]);
    expect(zio.stderr).toMatch(/^zio: sanitised loads AddressSanitizer .*\n.*: done\n$/);
    expect(zio.stdout.equals(input)).toBe(true);
    expect(zio.status).toBe(7);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
