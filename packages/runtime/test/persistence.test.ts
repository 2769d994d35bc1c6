import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joinPatterns } from "@zio/interpose";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkPersistentMemory, daxMounts } from "../src/doctor/persistence.js";
import { environment, exec } from "../src/index.js";
import { absolutePattern, splitPatterns } from "../src/persistence/persistence-settings.js";
import { readRunRecord } from "../src/stats/record.js";
import { countersPage } from "./support/counters-page.js";
import { runZio } from "./support/run-zio.js";
import { StartedProgram } from "./support/started-zio.js";

const nvmEntry = join(import.meta.dirname, "../../nvm/dist/index.js");

let directory: string;
let pool: string;
let started: StartedProgram | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-persistence-"));
  pool = join(directory, "pool");
});
afterEach(() => {
  started?.dispose();
  started = undefined;
  rmSync(directory, { recursive: true });
});

const sized = ["--nvm-size", "16M"];
const run = (words: string[], cwd = directory) => runZio(["run", ...words], { cwd });

/** The variables of a pool that a program under zIO gets. */
async function variables(words: string[]): Promise<Record<string, string>> {
  const { stdout } = await run([...words, "--", "env"]);
  return Object.fromEntries(
    stdout.split("\n").flatMap((line) => (line.startsWith("ZIO_NVM") ? [/^(\w+)=(.*)$/.exec(line)!.slice(1)] : [])),
  );
}

/** A Node that appends to a file under the log of the pool, and then does what `end` says. */
const appends = (end: string) => `
  import { Pool } from ${JSON.stringify(nvmEntry)};
  const pool = await Pool.open(${JSON.stringify(pool)}, { create: { sizeBytes: 16 << 20 } });
  const log = await pool.log(${JSON.stringify(join(directory, "file"))});
  await log.append(Buffer.from("acknowledged\\n"));
  ${end}`;

async function leaveByKill(): Promise<void> {
  const script = appends("process.kill(process.pid, 'SIGKILL');");
  const { signal, stderr } = await runProgram(process.execPath, ["--input-type=module", "-e", script]);
  expect([signal, stderr]).toEqual(["SIGKILL", ""]);
}

test("the pool is made once, and the program gets paths that are absolute and the name of its tree", async () => {
  const words = ["--nvm", "pool", ...sized, "--nvm-file", "*.aof", "--nvm-file", "data/a:b.db", "--", "env"];
  const first = await run(words);
  expect(first.stderr).toBe(`zio: made the pool ${pool}, 16 MiB\n`);
  expect(statSync(pool).size).toBe(16 << 20);
  const { ZIO_NVM, ZIO_NVM_FILES, ZIO_NVM_PROVIDER, ZIO_NVM_TREE } = await variables(words.slice(0, -2));
  expect(ZIO_NVM).toBe(pool);
  expect(splitPatterns(ZIO_NVM_FILES!)).toEqual(["*.aof", join(directory, "data/a:b.db")]);
  expect(existsSync(ZIO_NVM_PROVIDER!)).toBe(true);
  expect(ZIO_NVM_TREE).toMatch(/^\d+-[0-9a-f]{18}$/);
  expect((await variables(words.slice(0, -2))).ZIO_NVM_TREE).not.toBe(ZIO_NVM_TREE);
  expect((await run(words)).stderr).toBe("");
});

test("a program of the tree joins it", async () => {
  const words = ["--nvm", pool, ...sized, "--nvm-file", "*.aof"];
  const inner = `zio run --nvm ${pool} --nvm-file '*.aof' -- env`;
  const script = `echo "outer $ZIO_NVM_TREE"; "$0" run ${inner.slice(8)} | sed -n 's/^ZIO_NVM_TREE=/inner /p'`;
  const zio = join(import.meta.dirname, "../bin/zio");
  const { stdout } = await run([...words, "--", "sh", "-c", script, zio]);
  const [, outer] = /^outer (.+)$/m.exec(stdout) ?? [];
  expect(stdout).toBe(`outer ${outer}\ninner ${outer}\n`);
});

test("what a killed process left is in its file before the program runs", async () => {
  await leaveByKill();
  expect(readFileSync(join(directory, "file"), "utf8")).toBe("");
  const { stdout, stderr } = await run(["--nvm", pool, "--nvm-file", "other", "--", "cat", "file"]);
  expect(stdout).toBe("acknowledged\n");
  expect(stderr).toBe(`zio: recovered ${pool}: 1 writes, 13 bytes, are in their files now\n`);
});

test("a file that was changed since is not overwritten, and the program does not run", async () => {
  await leaveByKill();
  writeFileSync(join(directory, "file"), "somebody else's");
  const result = await run(["--nvm", pool, "--nvm-file", "file", "--", "echo", "ran"]);
  expect(result).toMatchObject({ status: 2, stdout: "" });
  expect(result.stderr).toMatch(
    /^zio: cannot use the pool .*: the file was changed or replaced .*--accept-changed.*\n$/,
  );
  expect(readFileSync(join(directory, "file"), "utf8")).toBe("somebody else's");
});

test("a pool that another tree has open is refused with its process", async () => {
  const script = appends("console.log('open'); setInterval(() => {}, 1000);");
  started = new StartedProgram(process.execPath, ["--input-type=module", "-e", script]);
  await started.line(/^open/);
  const result = await run(["--nvm", pool, "--nvm-file", "file", "--", "echo", "ran"]);
  expect(result).toMatchObject({ status: 2, stdout: "" });
  expect(result.stderr).toBe(
    `zio: cannot use the pool ${pool}: the pool is in use by another process, ${started.child.pid}; end it, or name another pool\n`,
  );
});

test.each([
  ["no file is named", ["--nvm", "pool"], /--nvm pool is for no file; say which by --nvm-file/],
  ["no pool is named", ["--nvm-file", "*.aof"], /--nvm-file belongs to a pool; name it by --nvm/],
  ["the size is none", ["--nvm", "pool", "--nvm-file", "a", "--nvm-size", "3"], /--nvm-size takes a size from 16M/],
  ["its directory is not there", ["--nvm", "none/pool", "--nvm-file", "a"], /there is no directory .*; make it first/],
  ["it is no pool", ["--nvm", "text", "--nvm-file", "a"], /this is not a pool; name another file/],
  ["it was cut off", ["--nvm", "cut", "--nvm-file", "a"], /shorter than the pool.*; restore it from a backup/],
  ["there is no space", ["--nvm", "pool", "--nvm-file", "a", "--nvm-size", "1024G"], /; ask for less by --nvm-size/],
])("where %s, one line says what to do and nothing is left", async (_, words, line) => {
  writeFileSync(join(directory, "text"), "x".repeat(100_000));
  writeFileSync(join(directory, "cut"), "x".repeat(10_000));
  const { status, stdout, stderr } = await run([...words, "--", "echo", "ran"]);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(line);
  expect(stderr.trimEnd()).not.toContain("\n");
  expect(existsSync(pool)).toBe(false);
});

test("a pool in DRAM is said loudly, once", async (ctx) => {
  if (!existsSync("/dev/shm")) return ctx.skip("no /dev/shm");
  const shared = mkdtempSync("/dev/shm/zio-persistence-");
  try {
    const path = join(shared, "pool");
    await run(["--nvm", path, ...sized, "--nvm-file", "a", "--", "true"]);
    const { stderr } = await run(["--nvm", path, "--nvm-file", "a", "--", "true"]);
    expect(stderr).toBe(
      `zio: the pool ${path} is in DRAM: IT DOES NOT SURVIVE A POWER CUT OR A RESTART OF THE MACHINE\n`,
    );
  } finally {
    rmSync(shared, { recursive: true });
  }
});

test("zio env prints the variables of a pool and makes none", async () => {
  const { stdout } = await runZio(["env", "--nvm", "pool", "--nvm-file", "x/*", "--json"], { cwd: directory });
  expect(JSON.parse(stdout).variables).toMatchObject({ ZIO_NVM: pool, ZIO_NVM_FILES: join(directory, "x/*") });
  expect(existsSync(pool)).toBe(false);
});

test("programs that Node starts get the same, and a pool that cannot be used throws", async () => {
  const zio = { nvmPath: pool, nvmFiles: ["*.aof", "./b"], nvmSizeBytes: 16 << 20 };
  const { stdout } = await exec("sh", ["-c", 'echo "$ZIO_NVM $ZIO_NVM_FILES"; [ -n "$ZIO_NVM_TREE" ]'], { zio });
  expect(stdout).toBe(`${pool} *.aof:${process.cwd()}/b\n`);
  expect(statSync(pool).size).toBe(16 << 20);
  writeFileSync(pool, "x".repeat(100_000));
  await expect(exec("true", [], { zio })).rejects.toThrow(/^cannot use the pool .*: this is not a pool/);
  expect(() => environment({ nvmPath: pool })).toThrow(/^nvmPath is for no file/);
  expect(environment({ base: {}, ...zio }).ZIO_NVM_PROVIDER).toMatch(/libzio-nvm\.so$/);
});

test("patterns survive being joined, and those with a slash become whole paths", () => {
  const patterns = ["*.aof", "/a:b/c", "back\\slash", "[a-z]?"];
  expect(splitPatterns(joinPatterns(patterns))).toEqual(patterns);
  expect(absolutePattern("*.aof", "/srv")).toBe("*.aof");
  expect(absolutePattern("/x/*", "/srv")).toBe("/x/*");
  expect(absolutePattern("data/*.db", "/srv/a[1]")).toBe("/srv/a[[]1]/data/*.db");
});

test("of a pool's gauges those of whoever asked last count, of other counters the sum", () => {
  const pages = join(directory, "pages");
  mkdirSync(pages);
  const gauges = ["poolLoggedBytes", "poolDigestedBytes", "poolUsedBytes", "loggedHeldBytes"];
  const write = (pid: number, digested: number, used: number) => {
    const counters = { loggedBytes: pid, loggedHeldBytes: 5, poolLoggedBytes: 100 };
    const pool = { poolDigestedBytes: digested, poolUsedBytes: used };
    writeFileSync(join(pages, String(pid)), countersPage({ pid, counters: { ...counters, ...pool } }, gauges));
  };
  write(11, 0, 100);
  write(12, 80, 20);
  write(13, 0, 99);
  const { nvm, processes } = readRunRecord(pages);
  const pool = { poolLoggedBytes: 100, poolDigestedBytes: 80, poolUsedBytes: 20 };
  expect(nvm).toEqual({ loggedBytes: 36, loggedHeldBytes: 15, ...pool });
  expect(processes.map((process) => process.nvm.loggedBytes)).toEqual([11, 12, 13]);
});

test("the record tells how full the pool was, what waited, and that everything was applied", async () => {
  const record = join(directory, "stats.json");
  const script = `const fs = require("fs"), fd = fs.openSync("a.log", "w");
    for (const megabytes of [1, 40]) fs.writeSync(fd, Buffer.alloc(megabytes << 20, 7));`;
  const words = [
    "--stats",
    record,
    "--nvm",
    pool,
    ...sized,
    "--nvm-file",
    "*.log",
    "--",
    process.execPath,
    "-e",
    script,
  ];
  expect(await run(words)).toMatchObject({ status: 0 });
  const { nvm } = JSON.parse(readFileSync(record, "utf8"));
  const all = 41 << 20;
  expect(nvm).toMatchObject({ loggedBytes: all, poolLoggedBytes: all, poolDigestedBytes: all });
  expect(nvm).toMatchObject({ poolUndigestedBytes: 0, poolUsedBytes: 0, loggedHeldBytes: 0 });
  expect(nvm.poolBytes).toBeGreaterThan(8 << 20);
  expect(nvm.poolBytes).toBeLessThan(16 << 20);
  expect(nvm.poolWaits).toBeGreaterThan(0);
});

test("zio stats tells of a pool while it is in use", async () => {
  const script = `const fs = require("fs"), fd = fs.openSync(${JSON.stringify(join(directory, "a.log"))}, "w");
    fs.writeSync(fd, Buffer.alloc(3 << 20, 7)); console.log("ready " + process.pid); setInterval(() => {}, 1000);`;
  const words = [
    "run",
    "--nvm",
    pool,
    ...sized,
    "--nvm-file",
    join(directory, "*.log"),
    "--",
    process.execPath,
    "-e",
    script,
  ];
  const zio = join(import.meta.dirname, "../bin/zio");
  started = new StartedProgram(zio, words);
  const pid = Number((await started.line(/^ready/)).split(" ")[1]);
  const { stdout } = await runZio(["stats", "--json", String(pid)]);
  const { nvm } = JSON.parse(stdout).processes[0];
  expect(nvm).toMatchObject({ poolLoggedBytes: 3 << 20, poolUndigestedBytes: 3 << 20, poolDigestedBytes: 0 });
  expect(nvm.poolUsedBytes).toBeGreaterThanOrEqual(3 << 20);
  expect((await runZio(["stats", String(pid)])).stdout).toMatch(/poolUndigestedBytes +3145728 +3(\.0)? MiB/);
});

test("file systems with dax are found in the table of mounts", () => {
  const table = "/dev/pmem0 /pm ext4 rw,dax=always 0 0\n/dev/a /b xfs rw,dax=never 0 0\n/dev/c /d ext2 rw,dax 0 0";
  expect(daxMounts(table)).toEqual(["/pm (ext4)", "/d (ext2)"]);
  expect(checkPersistentMemory(table)).toMatchObject({ state: "ok", reason: "/pm (ext4), /d (ext2)" });
});
