// What is shipped: compiled files that run from glibc 2.28 on, and the same bytes that the other tests run.
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";

const repository = join(import.meta.dirname, "../../..");
const platform = `linux-${process.arch}`;
const check = (...args: string[]) =>
  runProgram(process.execPath, [join(repository, "scripts/check-prebuilds.mjs"), ...args]);

test("no prebuild needs a symbol that is younger than glibc 2.28", async () => {
  const { status, stdout, stderr } = await check(process.arch);
  expect({ status, stdout: stdout.toString(), stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
});

test("the check finds a program that does", async ({ skip }) => {
  const directory = await mkdtemp(join(tmpdir(), "zio-younger-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const source = join(directory, "younger.c");
  await writeFile(source, "#include <threads.h>\nint main(void) { thrd_yield(); return 0; }\n");
  const program = await compileC({ sources: [source] });
  const { stdout } = await runProgram("readelf", ["--dyn-syms", "--wide", program]);
  if (!/@GLIBC_2\.3[4-9]/.test(stdout.toString())) skip("this machine's glibc is older than 2.34 itself");
  const found = await check(process.arch, program);
  expect(found.status).toBe(1);
  expect(found.stdout.toString()).toMatch(/^younger needs \w+@GLIBC_2\.3\d$/m);
});

test.each(["core", "fault-handler", "interpose"])("%s ships what its tests run", async (name) => {
  const built = join(repository, "packages", name, "build/Release");
  const shipped = join(repository, "packages", name, "prebuilds", platform);
  const files = await readdir(shipped);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const original = file.endsWith(".node") ? `zio_${name.replace("-", "_")}.node` : file;
    expect((await readFile(join(shipped, file))).equals(await readFile(join(built, original))), file).toBe(true);
  }
  const addons = files.filter((file) => file.endsWith(".node"));
  expect(addons).toEqual([`@zio+${name}.glibc.node`]);
});

test("every program that is compiled is shipped with leave to run it", async () => {
  const directory = join(repository, "packages/interpose");
  const { publishConfig } = JSON.parse(await readFile(join(directory, "package.json"), "utf8"));
  const programs = (await readdir(join(directory, "prebuilds", platform))).filter((file) => file.startsWith("zio-"));
  for (const program of ["zio-launch", "zio-echo-server", "zio-echo-client"]) expect(programs).toContain(program);
  for (const program of programs) {
    expect((await stat(join(directory, "prebuilds", platform, program))).mode & 0o111).toBe(0o111);
    // A package manager gives no other file the right, so that package.json has to name them.
    for (const arch of ["x64", "arm64"])
      expect(publishConfig.executableFiles).toContain(`./prebuilds/linux-${arch}/${program}`);
  }
});

test.each(["core", "fault-handler", "interpose"])(
  "%s has the licence of what is compiled into its addon",
  async (name) => {
    const directory = join(repository, "packages", name);
    const notices = await readFile(join(directory, "THIRD-PARTY-NOTICES.md"), "utf8");
    const dependency = join(directory, "node_modules/node-addon-api");
    const { version } = JSON.parse(await readFile(join(dependency, "package.json"), "utf8"));
    expect(notices).toContain(`node-addon-api ${version}:`);
    expect(notices).toContain((await readFile(join(dependency, "LICENSE.md"), "utf8")).trim());
  },
);
