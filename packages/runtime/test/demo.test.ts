import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { DemoResult } from "../src/demo/demo.js";
import { redisServerPath } from "../src/demo/redis.js";
import { renderDemo } from "../src/demo/render-demo.js";
import { RespClient } from "../src/demo/resp.js";
import { asNobody, nobodyHasUserfaultfd, nobodyProblem, runZio, zioPath } from "./support/run-zio.js";
import { StartedProgram, until } from "./support/started-zio.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-demo-test-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the demo verifies its data both ways and shows a row for each case", async () => {
  const { stdout, stderr, status } = await runZio(["demo", "--json"], { timeoutMs: 110_000 });
  expect({ status, stderr }).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(/^round 1 of \d: echo, 0 copies, plain\n/),
  });
  const result = JSON.parse(stdout) as DemoResult;
  const names = result.cases.map(({ name }) => name);
  expect(names.slice(0, 3)).toEqual(["echo, 0 copies", "echo, 4 copies", "echo, 8 copies"]);
  expect(names.includes("Redis SET+GET")).toBe(redisServerPath() !== undefined);
  for (const { samples } of result.cases) {
    const ways = samples.map(({ way }) => way);
    if (!result.problem) expect(ways.filter((way) => way === "zio").length).toBe(ways.length / 2);
    for (const { messages, cpuMs, wallMs } of samples) {
      expect(messages).toBeGreaterThan(0);
      expect(cpuMs).toBeGreaterThan(0);
      expect(wallMs).toBeGreaterThan(0);
    }
  }
  const eight = result.cases[2]!.samples.find(({ way }) => way === "zio");
  if (!result.problem) expect(eight!.counters!.elidedBytes).toBeGreaterThan(0);
  expect(
    renderDemo(result)
      .split("\n")
      .filter((line) => line.startsWith("echo")),
  ).toHaveLength(3);
});

test("where userfaultfd cannot be had the demo says so and shows the plain result", ({ skip }) => {
  const problem = nobodyProblem();
  skip(problem !== false, problem || "");
  skip(nobodyHasUserfaultfd(), "every user may open /dev/userfaultfd here");
  const { stdout, status } = spawnSync(zioPath, ["demo"], { ...asNobody, encoding: "utf8" });
  expect(status).toBe(0);
  expect(stdout).toMatch(/^echo, 8 copies +[\d.]+ +- +\d+ +- +- +- +-$/m);
  expect(stdout).toMatch(/^Only plain: userfaultfd is not available: /m);
});

test("an interrupted demo leaves no process and no directory behind", async () => {
  const demo = new StartedProgram(zioPath, ["demo"], { ...process.env, TMPDIR: directory });
  try {
    // Redis has files, and comes last.
    const sign = redisServerPath() === undefined ? "4 copies" : "Redis";
    await until(() => demo.stderr.includes(sign), "the demo to be under way");
    if (sign === "Redis") await until(() => readdirSync(directory).length > 0, "its directory");
    demo.child.kill("SIGINT");
    expect(await demo.ended).toEqual({ status: 130, signal: null });
  } finally {
    demo.dispose();
  }
  expect(readdirSync(directory)).toEqual([]);
});

/** A server that sends `reply` in pieces of `pieceBytes` to whoever connects. */
async function repliesInPieces(reply: Buffer, pieceBytes: number, use: (client: RespClient) => Promise<void>) {
  const path = join(directory, "socket");
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.setNoDelay(true);
    let at = 0;
    const sendPiece = () => {
      if (at >= reply.length || socket.destroyed) return;
      const from = at;
      at += pieceBytes;
      socket.write(reply.subarray(from, at), () => setImmediate(sendPiece));
    };
    sendPiece();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = await RespClient.connect(path);
  try {
    await use(client);
  } finally {
    client.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

test.each([1, 2, 3, 7, 1000])("replies that come in pieces of %d bytes are put together", async (pieceBytes) => {
  const value = Buffer.from("line\r\nbreaks\r\n$5\r\n");
  const reply = Buffer.concat([
    Buffer.from(`+OK\r\n$${value.length}\r\n`),
    value,
    Buffer.from("\r\n$-1\r\n$0\r\n\r\n:7\r\n-ERR no\r\n"),
  ]);
  await repliesInPieces(reply, pieceBytes, async (client) => {
    const replies = await Promise.allSettled(["a", "b", "c", "d", "e", "f"].map((word) => client.command(word)));
    const texts = replies.map((each) => (each.status === "fulfilled" ? each.value?.toString() : each.reason.message));
    expect(texts).toEqual(["OK", value.toString(), undefined, "", "7", "Redis: ERR no"]);
  });
});

test("a connection that ends rejects what waits", async () => {
  const path = join(directory, "socket");
  const server = createServer((socket) => socket.once("data", () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = await RespClient.connect(path);
  await expect(client.command("PING")).rejects.toThrow();
  server.close();
});
