// An echo server of recv, N copies and send that runs for a while does nothing but move views: its counters say so.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { capabilities } from "@zio/fault-handler";
import { runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";
import { demoProgramPath, environment, readStatsDirectory } from "../src/index.js";

const program = (name: "zio-echo-server" | "zio-echo-client") =>
  demoProgramPath(name) ?? expect.fail(`${name} is not built`);

const messageBytes = 512 * 1024;

/** The counters of a server that answered so many messages, every byte of which was checked. */
async function countersAfter(messages: number, copies: number, disable: string): Promise<Record<string, number>> {
  const stats = await mkdtemp("/dev/shm/zio-steady-");
  onTestFinished(() => rm(stats, { recursive: true, force: true }));
  const server = spawn(
    program("zio-echo-server"),
    ["--copies", String(copies), "--message", String(messageBytes), "--seconds", "30"],
    {
      env: { ...process.env, ...environment({ policy: "always", statsDirectory: stats }), ZIO_DISABLE: disable },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  onTestFinished(() => {
    server.kill("SIGKILL");
  });
  const [line] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  const exit = once(server, "exit");
  const port = /^port (\d+)$/.exec(line)?.[1] ?? "";
  const client = await runProgram(program("zio-echo-client"), [
    "--port",
    port,
    "--messages",
    String(messages),
    "--verify",
    "all",
  ]);
  expect(JSON.parse(client.stdout.toString())).toMatchObject({ messages, wrongMessages: 0 });
  expect(await exit).toEqual([0, null]);
  return (await readStatsDirectory(stats)).totals;
}

for (const copies of [0, 4])
  for (const disable of ["", "move"])
    test(`with ${copies} copies${disable && " and UFFDIO_MOVE masked"} further messages cost no fault and no page-table call`, async (ctx) => {
      const found = capabilities();
      if (!found.available) return ctx.skip(`userfaultfd is unavailable: ${found.reason}`);
      const few = await countersAfter(20, copies, disable);
      const many = await countersAfter(320, copies, disable);
      const further = (name: string) => (many[name] ?? 0) - (few[name] ?? 0);
      // A message that arrives in parts may have a part below the threshold, which is read straight.
      expect(further("redirectedBytes")).toBeGreaterThan(299 * messageBytes);
      expect(further("redirectedBytes")).toBeLessThanOrEqual(301 * messageBytes);
      expect(further("elidedBytes")).toBeGreaterThanOrEqual(299 * messageBytes * copies);
      expect(further("translatedBytes")).toBeGreaterThan(299 * messageBytes);
      // The first messages settle in: where a short input ends, a page may be copied once and be evicted later.
      expect(further("faults")).toBeLessThanOrEqual(5);
      expect(further("zeroFaults")).toBeLessThanOrEqual(5);
      expect(Math.abs(further("evictions"))).toBeLessThanOrEqual(60);
      expect(Math.abs(further("events"))).toBeLessThanOrEqual(60);
    });
