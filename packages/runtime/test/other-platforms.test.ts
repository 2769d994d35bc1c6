// macOS, Windows and musl, by a Node that takes itself for one there: everything loads, programs run unchanged, and it is said
// why.
import { rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type FakeNode, type FakePlatform, fakeNode, runProgram } from "@zio/test-support";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { zioPath } from "./support/run-zio.js";

const packages = join(import.meta.dirname, "../..");
const entry = (name: string) => JSON.stringify(join(packages, name, "dist/index.cjs"));
const cli = join(packages, "runtime/dist/cli.js");

const platforms: [string, FakePlatform, string, string][] = [
  ["macOS", { os: "darwin", arch: "arm64" }, "zIO needs Linux, and this is darwin", "run it on Linux"],
  ["Windows", { os: "win32" }, "zIO needs Linux, and this is win32", "run it on Linux"],
  ["musl", { libc: "musl" }, "zIO needs glibc, and this Node uses musl", "use an image with glibc, such as Debian's"],
];

describe.each(platforms)("on %s", (_, platform, reason, fix) => {
  let node: FakeNode;
  let env: Record<string, string | undefined>;
  beforeAll(() => {
    node = fakeNode(platform);
    env = { PATH: `${node.directory}${delimiter}${process.env.PATH}`, LD_PRELOAD: undefined, ZIO_POLICY: undefined };
  });
  afterAll(() => rmSync(node.directory, { recursive: true, force: true }));

  async function evaluate(script: string): Promise<unknown> {
    const { stdout, stderr } = await runProgram(join(node.directory, "node"), ["-e", script], { env });
    expect(stderr).toBe("");
    return JSON.parse(stdout.toString());
  }

  test.each(["core", "fault-handler", "interpose", "runtime", "bench", "bypass-tas", "nvm"])(
    "@zio/%s loads",
    async (name) => {
      expect(await evaluate(`console.log(JSON.stringify(require(${entry(name)}).packageVersion))`)).toMatch(/^\d+\./);
    },
  );

  test("nothing is active, and capabilities and spawn give the reason", async () => {
    const script = `
      const { capabilities, ensureActive, exec, isActive, environment } = require(${entry("runtime")});
      let refused;
      try { environment(); } catch (error) { refused = [error.code, error.message]; }
      exec("echo", ["hello"]).then(({ stdout, status, problem }) => console.log(JSON.stringify({
        active: isActive(), ensured: ensureActive(), capabilities: capabilities(), refused, stdout, status, problem })));`;
    expect(await evaluate(script)).toMatchObject({
      active: false,
      ensured: { active: false, reason: `${reason}; ${fix}` },
      capabilities: { available: false, reason, fix, errors: {} },
      refused: ["UNSUPPORTED_PLATFORM", `${reason}; ${fix}`],
      stdout: "hello\n",
      status: 0,
      problem: `${reason}; ${fix}`,
    });
  });

  test("a LazyBuffer is filled at once", async () => {
    const script = `
      const { LazyBuffer } = require(${entry("fault-handler")});
      const lazy = LazyBuffer.from(Buffer.from("bytes"));
      console.log(JSON.stringify([Buffer.from(lazy.buffer).toString(), lazy.lazy, lazy.reason]));`;
    expect(await evaluate(script)).toEqual(["bytes", false, `${reason}; ${fix}`]);
  });

  test("a pool is refused, and capabilities give the reason", async () => {
    const script = `
      const { capabilities, Pool } = require(${entry("nvm")});
      (async () => {
        const error = await Pool.open("/tmp/pool").catch((error) => error);
        console.log(JSON.stringify([error.code, await capabilities("/tmp")]));
      })();`;
    const place = { available: false, directory: "/tmp", reason, fix };
    expect(await evaluate(script)).toEqual(["UNSUPPORTED_PLATFORM", place]);
  });

  const line = `zio: ${reason}, so the command runs unchanged; ${fix}\n`;

  test.each([
    ["run", "sh", "-c", 'echo "$1"; exit 9', "sh", "a  b"],
    ["run", "--policy", "always", "--", "sh", "-c", 'echo "$1"; exit 9', "sh", "a  b"],
  ])("`zio run` runs the command unchanged after one line (%s %s %s)", async (...words) => {
    const viaShell = await runProgram(zioPath, words, { env });
    const viaNode = await runProgram(join(node.directory, "node"), [cli, ...words], { env });
    for (const { stdout, stderr, status } of [viaShell, viaNode])
      expect({ stdout: stdout.toString(), stderr, status }).toEqual({ stdout: "a  b\n", stderr: line, status: 9 });
  });

  test("`zio run --stats` says that there are no counters", async () => {
    const { stderr, status } = await runProgram(zioPath, ["run", "--stats", "/dev/null", "--", "true"], { env });
    expect({ stderr, status }).toEqual({
      stderr: `zio: ${reason}, so the command runs unchanged and without counters; ${fix}\n`,
      status: 0,
    });
  });

  test("`zio doctor` explains", async () => {
    const { stdout, status } = await runProgram(zioPath, ["doctor", "--json"], { env });
    expect(status).toBe(1);
    expect(JSON.parse(stdout.toString())).toEqual({
      version: 1,
      works: false,
      checks: [{ id: "platform", title: "platform", state: "missing", reason, fix }],
    });
  });

  test.each([["demo"], ["env"]])("`zio %s` gives the reason", async (command) => {
    const { stderr, status } = await runProgram(zioPath, [command], { env });
    expect({ stderr, status }).toEqual({ stderr: `zio: ${reason}; ${fix}\n`, status: 1 });
  });
});
