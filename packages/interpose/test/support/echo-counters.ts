// The demo's echo server under zIO, and its counters once it has answered.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { runProgram } from "@zio/test-support";
import { expect, onTestFinished } from "vitest";
import { demoProgramPath, environment, readStatsDirectory, type Settings } from "../../src/index.js";

const program = (name: "zio-echo-server" | "zio-echo-client") =>
  demoProgramPath(name) ?? expect.fail(`${name} is not built`);

export const messageBytes = 512 * 1024;

/** The counters of a server that answered so many messages on each connection, every byte of which was checked. */
export async function countersAfter(
  messages: number,
  copies: number,
  settings: Settings,
  variables: Record<string, string> = {},
  serverArgs: readonly string[] = [],
  { connections = 1, bytes = messageBytes }: { connections?: number; bytes?: number } = {},
): Promise<Record<string, number>> {
  const stats = await mkdtemp("/dev/shm/zio-echo-");
  onTestFinished(() => rm(stats, { recursive: true, force: true }));
  const both = ["--connections", String(connections)];
  const server = spawn(
    program("zio-echo-server"),
    ["--copies", String(copies), "--message", String(bytes), "--seconds", "30", ...both, ...serverArgs],
    {
      env: { ...process.env, ...environment({ ...settings, statsDirectory: stats }), ...variables },
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
    "--message",
    String(bytes),
    "--verify",
    "all",
    ...both,
  ]);
  expect(JSON.parse(client.stdout.toString())).toMatchObject({ messages: connections * messages, wrongMessages: 0 });
  expect(await exit).toEqual([0, null]);
  return (await readStatsDirectory(stats)).totals;
}
