// The demo's server and client, as built, without zIO.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { runProgram } from "@zio/test-support";
import { expect, onTestFinished, test } from "vitest";

const built = (name: string) => fileURLToPath(new URL(`../build/Release/${name}`, import.meta.url));
const server = built("zio-echo-server");
const client = built("zio-echo-client");

interface RunningServer {
  child: ChildProcess;
  port: number;
  /** The JSON line that it prints at its end. */
  report: Promise<Record<string, number>>;
}

async function startServer(...args: string[]): Promise<RunningServer> {
  const child = spawn(server, ["--seconds", "20", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const lines = createInterface({ input: child.stdout });
  const [first] = (await once(lines, "line")) as [string];
  const report = once(lines, "line").then(([line]) => JSON.parse(line as string) as Record<string, number>);
  return { child, port: Number(/^port (\d+)$/.exec(first)?.[1]), report };
}

function runClient(port: number, ...args: string[]) {
  return runProgram(client, ["--port", String(port), "--seconds", "10", ...args]);
}

test("every byte comes back through any number of copies, whatever the buffers are", async () => {
  const variants = [
    { message: "1", copies: "0", further: [] },
    { message: "512K", copies: "8", further: [] },
    { message: "100001", copies: "3", further: ["--alloc", "malloc", "--skew", "123"] },
    { message: "300000", copies: "0", further: ["--in-turn", "3"] },
    { message: "64K", copies: "2", further: ["--touch", "7", "--touch-mode", "write"] },
  ];
  for (const { message, copies, further } of variants) {
    const { port, report } = await startServer("--message", message, "--copies", copies, ...further);
    const { status, stdout, stderr } = await runClient(
      port,
      "--message",
      message,
      "--messages",
      "20",
      "--verify",
      "all",
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ version: 1, messages: 20, wrongMessages: 0 });
    expect(await report).toMatchObject({ version: 1, messages: 20, copies: Number(copies), truncatedMessages: 0 });
  }
});

test("a message larger than the socket buffers and several at once do not deadlock", async () => {
  const { port } = await startServer("--message", "16M", "--copies", "1");
  const args = ["--message", "16M", "--messages", "6", "--pipeline", "3", "--verify", "all"];
  const { status, stdout } = await runClient(port, ...args);
  expect(status).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({ received: 6, wrongMessages: 0 });
});

test("each connection has a thread and content of its own", async () => {
  const { port, report } = await startServer("--message", "128K", "--copies", "2", "--connections", "3");
  const args = ["--message", "128K", "--connections", "3", "--messages", "30", "--verify", "all"];
  expect((await runClient(port, ...args)).status).toBe(0);
  expect(await report).toMatchObject({ messages: 90, connections: 3 });
});

test("the messages of the warm-up are not accounted", async () => {
  const { port, report } = await startServer("--warmup", "15");
  const { stdout } = await runClient(port, "--warmup", "15", "--messages", "25");
  expect(JSON.parse(stdout.toString())).toMatchObject({ messages: 25, received: 40 });
  const accounted = await report;
  expect(accounted).toMatchObject({ messages: 25, warmupMessages: 15, bytes: 25 * 524288 });
  expect(accounted.cpuNs).toBeGreaterThan(0);
});

test("the server ends when its time is up and when it is asked to, and reports", async () => {
  const timed = await startServer("--seconds", "1");
  const asked = await startServer();
  asked.child.kill("SIGTERM");
  for (const { child, report } of [timed, asked]) {
    expect(await report).toMatchObject({ messages: 0 });
    if (child.exitCode === null) await once(child, "exit");
    expect(child.exitCode).toBe(0);
  }
});

test("the client finds a single wrong byte", async () => {
  const corrupting = createServer((socket) => {
    let position = 0;
    socket.on("data", (chunk) => {
      const at = 70_000 - position;
      if (at >= 0 && at < chunk.length) chunk[at]! ^= 1;
      position += chunk.length;
      socket.write(chunk);
    });
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void corrupting.close());
  await once(corrupting, "listening");
  const { port } = corrupting.address() as AddressInfo;
  const { status, stderr } = await runClient(port, "--message", "64K", "--messages", "3", "--verify", "all");
  expect(status).toBe(1);
  expect(stderr).toContain("1 wrong messages, the first 1 at byte 4464");
});

test("the server's copies are calls of libc's memcpy", async () => {
  const { stdout } = await runProgram("nm", ["-D", "--undefined-only", server]);
  expect(stdout.toString()).toMatch(/ memcpy(@|$)/m);
});

test("a wrong argument gives one line and status 2", async () => {
  for (const args of [["--copies", "many"], ["--alloc", "stack"], ["--colour"], ["--copies", "65"]]) {
    const { status, stdout, stderr } = await runProgram(server, args);
    expect(status).toBe(2);
    expect(stdout.length).toBe(0);
    expect(stderr).toMatch(/^[^\n]+\n$/);
  }
});
