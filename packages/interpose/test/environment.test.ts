import { chmodSync, copyFileSync, lstatSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ZioError } from "@zio/core";
import { allowedSeccompFilters } from "@zio/fault-handler";
import { compileC, runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { configTable, environment, preloadablePath, preloadWith, settingVariables } from "../src/index.js";

const victims = fileURLToPath(new URL("environment", import.meta.url));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-environment-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const libraryOfTest = () => compileC({ sources: [join(victims, "says-hello.c")], flags: ["-shared", "-fPIC"] });

test("without settings only LD_PRELOAD is set", () => {
  const { ZIO_SECCOMP, ...variables } = environment({ base: {}, library: "/opt/libzio.so" });
  expect(variables).toEqual({ LD_PRELOAD: "/opt/libzio.so" });
  expect(ZIO_SECCOMP).toBe(allowedSeccompFilters()?.toString());
});

test("every setting becomes its variable", () => {
  const variables = settingVariables({
    policy: "always",
    thresholdBytes: 65536,
    memoryLimitBytes: 256 * 1024 ** 2,
    statsDirectory: "/tmp/stats",
    logPath: "stderr",
    follow: false,
    keepHeap: false,
    disable: ["move", "device"],
    seccompFilters: 2,
    costs: { copy: 90, fault: 1500 },
    nvmPath: "/dev/shm/pool",
    nvmFiles: ["*.aof", "/a:b\\c/*"],
    nvmSizeBytes: 256 * 1024 ** 2,
    nvmChecksum: true,
    nvmTree: "7-1",
    nvmProviderPath: "/opt/libzio-nvm.so",
  });
  expect(variables).toEqual({
    ZIO_POLICY: "always",
    ZIO_THRESHOLD: "64K",
    ZIO_MEMORY_LIMIT: "256M",
    ZIO_STATS: "/tmp/stats",
    ZIO_LOG: "stderr",
    ZIO_FOLLOW: "no",
    ZIO_KEEP_HEAP: "no",
    ZIO_DISABLE: "move,device",
    ZIO_SECCOMP: "2",
    ZIO_COSTS: "copy=90,fault=1500",
    ZIO_NVM: "/dev/shm/pool",
    ZIO_NVM_FILES: "*.aof:/a\\:b\\\\c/*",
    ZIO_NVM_SIZE: "256M",
    ZIO_NVM_CHECKSUM: "yes",
    ZIO_NVM_TREE: "7-1",
    ZIO_NVM_PROVIDER: "/opt/libzio-nvm.so",
  });
  expect(Object.keys(variables)).toHaveLength(configTable.length);
});

test("a setting out of range throws a ZioError that names it", () => {
  const attempt = () => environment({ base: {}, library: "/opt/libzio.so", thresholdBytes: 12 });
  expect(attempt).toThrow(ZioError);
  expect(attempt).toThrow(/^thresholdBytes takes a size from 4K to 1G/);
});

test.each([
  [undefined, "/z.so"],
  ["", "/z.so"],
  ["/a.so", "/z.so:/a.so"],
  ["/a.so /b.so::/c.so", "/z.so:/a.so:/b.so:/c.so"],
  ["/a.so:/z.so", "/z.so:/a.so"],
])("the LD_PRELOAD %s becomes %s", (before, after) => {
  expect(preloadWith("/z.so", before)).toBe(after);
});

test("a library in a plain path needs no link", () => {
  expect(preloadablePath("/opt/zio-1.0/libzio.so")).toBe("/opt/zio-1.0/libzio.so");
});

test.each(["a b", "a:b", "a$ORIGIN", "a b:c $LIB"])("a library under %s is loaded through a link", async (name) => {
  mkdirSync(join(directory, name));
  const library = join(directory, name, "libzio.so");
  copyFileSync(await libraryOfTest(), library);
  const { LD_PRELOAD } = environment({ base: {}, library });
  expect(LD_PRELOAD).not.toMatch(/[\s:$]/);
  const { stdout, stderr } = await runProgram("/bin/true", [], { env: { LD_PRELOAD } });
  expect(stderr).toBe("");
  expect(stdout.toString()).toBe("hello from the library\n");
  rmSync(LD_PRELOAD!);
});

test("the directory of links belongs to the user and nobody else can write it", () => {
  const link = preloadablePath("/opt/a b/libzio.so", [directory]);
  const parent = lstatSync(join(link, ".."));
  expect(parent.uid).toBe(process.geteuid?.());
  expect(parent.mode & 0o022).toBe(0);
  expect(readlinkSync(link)).toBe("/opt/a b/libzio.so");
});

test("different libraries have different links and the same one keeps its own", () => {
  const first = preloadablePath("/opt/a b/libzio.so", [directory]);
  expect(preloadablePath("/opt/a b/libzio.so", [directory])).toBe(first);
  expect(preloadablePath("/opt/c d/libzio.so", [directory])).not.toBe(first);
});

test("a link that leads elsewhere is replaced", () => {
  const link = preloadablePath("/opt/a b/libzio.so", [directory]);
  rmSync(link);
  symlinkSync("/tmp/hostile.so", link);
  expect(readlinkSync(preloadablePath("/opt/a b/libzio.so", [directory]))).toBe("/opt/a b/libzio.so");
});

test("a directory of links that others can write, or that is a link itself, is not used", () => {
  const userId = process.geteuid?.();
  const [writable, linked, good] = ["writable", "linked", "good"].map((name) => join(directory, name));
  for (const parent of [writable!, linked!, good!]) mkdirSync(parent);
  mkdirSync(join(writable!, `zio-library-${userId}`));
  chmodSync(join(writable!, `zio-library-${userId}`), 0o777);
  symlinkSync(directory, join(linked!, `zio-library-${userId}`));
  const link = preloadablePath("/opt/a b/libzio.so", [writable!, linked!, good!]);
  expect(link.startsWith(`${good}/`)).toBe(true);
});

test("where no directory for links can be had the error says what to do", () => {
  const attempt = () => preloadablePath("/opt/a b/libzio.so", [join(directory, "missing")]);
  expect(attempt).toThrow(ZioError);
  expect(attempt).toThrow(/move it to a path without spaces, colons and dollar signs/);
});
