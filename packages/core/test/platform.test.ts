import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FakePlatform, fakeNode, runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";
import { checkNeighbour, loadAddon, platformProblem, thisPlatform, ZioError } from "../src/index.js";

const packageRoot = join(import.meta.dirname, "..");

test("this platform is one on which zIO works", () => {
  expect(thisPlatform()).toEqual({ os: "linux", arch: process.arch, libc: "glibc" });
  expect(platformProblem()).toBeUndefined();
});

test.each([
  [{ os: "darwin", arch: "arm64", libc: "unknown" } as const, "zIO needs Linux, and this is darwin"],
  [{ os: "win32", arch: "x64", libc: "unknown" } as const, "zIO needs Linux, and this is win32"],
  [{ os: "linux", arch: "riscv64", libc: "glibc" } as const, "zIO needs x86-64 or arm64, and this is riscv64"],
  [{ os: "linux", arch: "x64", libc: "musl" } as const, "zIO needs glibc, and this Node uses musl"],
  [{ os: "linux", arch: "arm64", libc: "unknown" } as const, "zIO needs glibc, and this Node uses another C library"],
])("%j is none, and it is said why", (platform, reason) => {
  expect(platformProblem(platform)).toMatchObject({ reason, fix: expect.stringMatching(/^(run|use) /) });
});

const others: [string, FakePlatform, string][] = [
  ["macOS", { os: "darwin", arch: "arm64" }, "zIO needs Linux, and this is darwin; run it on Linux"],
  ["Windows", { os: "win32" }, "zIO needs Linux, and this is win32; run it on Linux"],
  ["musl", { libc: "musl" }, "zIO needs glibc, and this Node uses musl; use an image with glibc, such as Debian's"],
];

function fake(platform: FakePlatform): string[] {
  const { directory, nodeArguments } = fakeNode(platform);
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return nodeArguments;
}

test.each(others)(
  "on %s the package loads, and what needs the addon says why it cannot work",
  async (_, platform, message) => {
    const script = `
    const { IntervalTree, abiVersion } = require(${JSON.stringify(join(packageRoot, "dist/index.cjs"))});
    try { new IntervalTree(); } catch (error) { console.log(abiVersion, error.name, error.code, error.message); }`;
    const { stdout, stderr } = await runProgram(process.execPath, [...fake(platform), "-e", script]);
    expect({ stdout: stdout.toString(), stderr }).toEqual({
      stdout: `0 ZioError UNSUPPORTED_PLATFORM ${message}\n`,
      stderr: "",
    });
  },
);

/** A copy of the package as it is installed, without what was compiled; node-gyp is a script that leaves a mark. */
function installedCopy() {
  const base = mkdtempSync(join(tmpdir(), "zio-installed-"));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const copy = join(base, "a b:c/@zio/core");
  mkdirSync(copy, { recursive: true });
  for (const name of ["dist", "install.cjs", "install-native.cjs", "package.json"])
    cpSync(join(packageRoot, name), join(copy, name), { recursive: true });
  symlinkSync(join(packageRoot, "node_modules"), join(copy, "node_modules"));
  const gyp = join(base, "node-gyp.js");
  writeFileSync(gyp, `require("node:fs").writeFileSync("compiled", process.argv.slice(2).join(" "));\n`);
  const install = (nodeArguments: string[] = [], env: Record<string, string> = {}) =>
    runProgram(process.execPath, [...nodeArguments, "install.cjs"], {
      cwd: copy,
      env: { npm_config_node_gyp: gyp, ...env },
    });
  const compiled = () => existsSync(join(copy, "compiled")) && readFileSync(join(copy, "compiled"), "utf8");
  return { copy, install, compiled };
}

test.each(others)("installing on %s compiles nothing, says so and succeeds", async (_, platform, message) => {
  const { install, compiled } = installedCopy();
  const { status, stderr } = await install(fake(platform));
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: `@zio/core: ${message.split(";")[0]}: installed without its native part\n`,
  });
  expect(compiled()).toBe(false);
});

test("installing compiles only where no prebuilt addon loads, or where that is asked for", async () => {
  const { copy, install, compiled } = installedCopy();
  const prebuilt = join(copy, "prebuilds");
  cpSync(join(packageRoot, "prebuilds"), prebuilt, { recursive: true });
  expect(await install()).toMatchObject({ status: 0, stderr: "" });
  expect(compiled()).toBe(false);
  await install([], { npm_config_build_from_source: "@zio/other" });
  expect(compiled()).toBe(false);
  await install([], { npm_config_build_from_source: "@zio/core" });
  expect(compiled()).toBe("rebuild");
  rmSync(join(copy, "compiled"));
  writeFileSync(join(prebuilt, `linux-${process.arch}`, "@zio+core.glibc.node"), "no addon");
  expect((await install()).status).toBe(0);
  expect(compiled()).toBe("rebuild");
});

test("where it cannot be compiled either, the install script fails and says what is needed", async () => {
  const { install } = installedCopy();
  const { status, stderr } = await install([], { npm_config_node_gyp: "/nonexistent/node-gyp.js" });
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/@zio\/core: no prebuilt addon fits, .* needs a C and C\+\+ compiler, make and python3\n$/);
});

test("an addon of another interface version is refused with what to do", () => {
  const load = (abiVersion: number, exports: string[]) =>
    loadAddon({ packageName: "@zio/core", packageRoot, abiVersion, exports: exports as never[] });
  expect(() => load(7, [])).toThrow(
    expect.objectContaining({
      code: "ABI_MISMATCH",
      message: expect.stringMatching(/of another build \(interface 0, expected 7\); npm install @zio\/core@latest/),
    }),
  );
  expect(() => load(0, ["futureFunction"])).toThrow(/of another build/);
});

test("a neighbour of another interface version is refused with what to install", () => {
  const neighbour = { name: "@zio/core", version: "3.0.0", abiVersion: 2 };
  expect(() => checkNeighbour("@zio/fault-handler", 2, neighbour)).not.toThrow();
  const refused = () => checkNeighbour("@zio/fault-handler", 1, neighbour);
  expect(refused).toThrow(ZioError);
  expect(refused).toThrow(
    "@zio/fault-handler was compiled with interface 1 of @zio/core, but @zio/core 3.0.0 has interface 2; " +
      "install versions that fit: npm install @zio/fault-handler@latest @zio/core@latest",
  );
});
