import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { libraryPath, preloadablePath } from "@zio/interpose";
import { expect, expectTypeOf, test } from "vitest";
import { doctor, environment, type StatsSample, spawn, ZioError } from "../src/index.js";
import { countersPage } from "./support/counters-page.js";
import { compileProgram } from "./support/run-zio.js";

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

test("a spawned program has the library, the settings and a private directory of counters", async () => {
  const child = spawn("sh", ["-c", "echo $LD_PRELOAD $ZIO_POLICY $ZIO_THRESHOLD; stat -c %a $ZIO_STATS"], {
    zio: { policy: "always", thresholdBytes: 32768 },
    env: { PATH: process.env.PATH },
  });
  expect(await textOf(child.stdout!)).toBe(`${preloadablePath(libraryPath())} always 32K\n700\n`);
  expect(child.zio.problem).toBeUndefined();
});

test("the counters can be read while the program runs and after its end", async () => {
  const child = spawn("sh", ["-c", "echo $ZIO_STATS; read line"], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(child.stdout!, "data");
  const directory = String(line).trim();
  writeFileSync(
    join(directory, "made"),
    countersPage({ pid: 77, counters: { elidedBytes: 4096, "fallbacks.fork": 2 } }),
  );
  expect(child.zio.stats()).toMatchObject({ version: 1, elidedBytes: 4096, fallbacks: { fork: 2 } });
  child.stdin!.end("\n");
  await once(child, "exit");
  expect(child.zio.stats()).toMatchObject({
    elidedBytes: 4096,
    processes: expect.arrayContaining([expect.objectContaining({ pid: 77 })]),
  });
  expect(existsSync(directory)).toBe(false);
});

test("the samples go on while the program runs and end with one of its end", async () => {
  const child = spawn("cat", [], { sampleIntervalMs: 20 });
  const samples: StatsSample[] = [];
  for await (const sample of child.zio) if (samples.push(sample) === 3) child.stdin!.end();
  expect(child.exitCode).toBe(0);
  expect(samples.length).toBeGreaterThan(3);
  const times = samples.map(({ elapsedMs }) => elapsedMs);
  expect(times).toEqual([...times].sort((left, right) => left - right));
  expect(samples.at(-1)).toMatchObject(child.zio.stats());
});

test("the iterator of a program that has ended gives nothing more", async () => {
  const child = spawn("true");
  await once(child, "exit");
  const samples: StatsSample[] = [];
  for await (const sample of child.zio) samples.push(sample);
  expect(samples).toEqual([]);
});

test("exit status and signals are those of the child process", async () => {
  const failing = spawn("sh", ["-c", "exit 9"]);
  expect(await once(failing, "exit")).toEqual([9, null]);
  const killed = spawn("sleep", ["60"]);
  killed.kill("SIGKILL");
  expect(await once(killed, "exit")).toEqual([null, "SIGKILL"]);
});

test("a missing program and one that cannot be run throw typed errors", () => {
  const codeOf = (command: string) => {
    try {
      spawn(command);
    } catch (error) {
      return error instanceof ZioError ? [error.code, error.syscall] : error;
    }
    return undefined;
  };
  expect(codeOf("zio-test-missing")).toEqual(["ENOENT", "spawn zio-test-missing"]);
  expect(codeOf("/etc/passwd")).toEqual(["EACCES", "spawn /etc/passwd"]);
});

test("a wrong setting throws before anything is started", () => {
  expect(() => spawn("true", [], { zio: { thresholdBytes: 1 } })).toThrow(ZioError);
});

test("a static program runs unchanged, and the reason is told", async () => {
  const program = await compileProgram("describe_process.c", ["-static"]);
  const child = spawn(program, [], { zio: { policy: "always" }, env: { A: "1" } });
  expect(await textOf(child.stdout!)).toContain(`variable ${Buffer.from("A=1").toString("hex")}\n`);
  expect(child.zio.problem).toMatch(/^describe_process is linked statically; /);
});

test("a relative command is looked for in the child's directory", async () => {
  const child = spawn("./true", [], { cwd: "/bin" });
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(() => spawn("./true", [], { cwd: tmpdir() })).toThrow(ZioError);
});

test("environment and doctor are there, with their types", () => {
  expect(environment({ base: {}, policy: "off" })).toEqual({
    LD_PRELOAD: preloadablePath(libraryPath()),
    ZIO_POLICY: "off",
  });
  expect(doctor().checks.length).toBeGreaterThan(5);
  expectTypeOf(spawn("true").zio.stats().elidedBytes).toBeNumber();
});
