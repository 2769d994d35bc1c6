// What libzio.so is made of: its exports, what its objects may call, and the tables of the kernel's own providers.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";

const root = join(import.meta.dirname, "..");
const library = join(root, "build/Release/libzio.so");
const native = join(root, "native");

/** Names that `nm` lists, without their version. */
async function symbols(file: string, ...flags: string[]): Promise<string[]> {
  const { stdout, status } = await runProgram("nm", [...flags, file]);
  expect(status).toBe(0);
  return stdout
    .toString()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).at(-1)?.split("@")[0] ?? "")
    .filter((name) => name !== "");
}

/** The names of the hook table: X(need, result, name, parameters). */
async function hookedNames(): Promise<string[]> {
  const table = await readFile(join(native, "hooks/hook_table.h"), "utf8");
  const hooks = table.slice(0, table.indexOf("#define ZIO_BORROWED"));
  return [...hooks.matchAll(/X\((?:REQUIRED|OPTIONAL),\s*[^,]+,\s*(\w+),/g)].map((match) => match[1] as string);
}

test("libzio.so needs the C library only", async () => {
  const { stdout } = await runProgram("readelf", ["-d", library]);
  const needed = [...stdout.toString().matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]);
  expect(needed.length).toBeGreaterThan(0);
  for (const name of needed) expect(name).toMatch(/^(libc|ld-linux-.*|libdl|libpthread)\.so\.\d+$/);
});

test("what is exported is the hook table, the version script says so, and no name is versioned", async () => {
  const hooks = [...(await hookedNames()), "zio_interpose_abi_version", "zio_materialise_all"].sort();
  const script = await readFile(join(native, "libzio.map"), "utf8");
  const listed = [...script.matchAll(/^\s+(\w+);$/gm)].map((match) => match[1]).sort();
  expect(hooks.length).toBeGreaterThan(60);
  expect(listed).toEqual(hooks);
  expect((await symbols(library, "-D", "--defined-only")).sort()).toEqual(hooks);
  const { stdout } = await runProgram("nm", ["-D", "--defined-only", "--with-symbol-versions", library]);
  expect(stdout.toString()).not.toContain("@");
});

test("no object calls an allocator", async () => {
  const objects = join(root, "build/Release/obj.target/libzio/native");
  const files = (await readdir(objects, { recursive: true })).filter((name) => name.endsWith(".o"));
  expect(files.length).toBeGreaterThan(15);
  for (const file of files) {
    const imported = await symbols(join(objects, file), "--undefined-only");
    for (const name of ["malloc", "calloc", "aligned_alloc", "posix_memalign", "memalign", "strdup"])
      expect(imported, file).not.toContain(name);
    if (!file.endsWith("memory.o")) for (const name of ["free", "realloc"]) expect(imported, file).not.toContain(name);
  }
});

test("the data plane below the hooks and the copies of the boot time call no memory function of libc", async () => {
  const objects = join(root, "build/Release/obj.target/libzio/native");
  for (const file of ["boot.o", "unit_core.o", "unit_fault_handler.o"]) {
    const imported = await symbols(join(objects, file), "--undefined-only");
    expect(
      imported.filter((name) => /^(__)?(mem|str|b(copy|zero))/.test(name)),
      file,
    ).toEqual([]);
  }
});

test("the kernel's own providers fill the tables of both interfaces", async () => {
  const directory = await mkdtemp(join(tmpdir(), "zio-tables-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const program = await compileC({
    sources: [
      join(import.meta.dirname, "native/provider_tables.c"),
      join(native, "kernel_stack.c"),
      join(native, "kernel_storage.c"),
      join(native, "hooks/real.c"),
      join(native, "unit_core.c"),
    ],
    includes: [native, ...["include", "native"].map((name) => join(root, "../core", name))],
    flags: ["-D_GNU_SOURCE"],
    libs: ["dl"],
  });
  const { stdout, stderr, status } = await runProgram(program, []);
  expect(stderr.toString()).toBe("");
  expect(stdout.toString()).toBe("tables hold\n");
  expect(status).toBe(0);
});
