// The two ends of a benchmark on two hosts: here, and in two network namespaces.
import { spawn, spawnSync } from "node:child_process";
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { run } from "../src/index.js";
import { parseAddress, serveSamples } from "../src/remote.js";
import { orSkip } from "./support/skips.js";

const few = { pairs: 1, messages: 20, warmup: 5, verifyMessages: 5, policy: "always" } as const;

async function serving(): Promise<string> {
  const control = await serveSamples("127.0.0.1", 0);
  onTestFinished(() => void control.close());
  return `127.0.0.1:${(control.address() as { port: number }).port}`;
}

test("a sweep whose server is behind a connection elides there, and the record has both machines", async (context) => {
  const record = await orSkip(context, run("copies", { ...few, copies: [2], connect: await serving() }));
  expect(record.serverMachine?.kernel).toBe(record.machine.kernel);
  for (const cell of record.cells) expect(cell.verified).toEqual(["plain", "zio"]);
  const zio = record.cells[1]!.samples.find(({ contender }) => contender === "zio")!.values;
  expect(zio.server).toMatchObject({ messages: 20, warmupMessages: 5 });
  expect(zio.counters?.elidedBytes).toBeGreaterThan(0.9 * 25 * 2 * (512 << 10));
  expect(record.cells[1]!.samples.find(({ contender }) => contender === "plain")!.values.counters).toBeNull();
});

test("whoever connects can choose settings, and nothing else", async () => {
  const { host, port } = parseAddress(await serving());
  const socket = createConnection({ host, port });
  onTestFinished(() => void socket.destroy());
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "null");
  expect(await next()).toMatchObject({ version: 1 });
  socket.write('{"contender":{"name":"zio","policy":"../../etc"},"pin":false,"options":{}}\n');
  expect(await next()).toMatchObject({ code: "bad-option" });
  socket.write("no JSON\n");
  expect(await next()).toHaveProperty("error");
  const options = { messageBytes: 4096, copies: 0, warmup: 0, server: ["/bin/false"], touchMode: "$(false)" };
  socket.write(`${JSON.stringify({ contender: { name: "plain" }, pin: false, options })}\n`);
  expect(await next()).toEqual({ port: expect.any(Number) });
});

test("where nobody serves the run ends with one line", async () => {
  await expect(run("copies", { ...few, connect: "127.0.0.1:1" })).rejects.toThrow(/no `--role server` at 127\.0\.0\.1/);
  expect(() => parseAddress("a:b:c")).toThrow(/HOST:PORT/);
  expect(parseAddress("host")).toEqual({ host: "host", port: 47_100 });
});

const zio = fileURLToPath(new URL("../../../bin/zio", import.meta.url));
const [near, far] = [`zio-n${process.pid}`, `zio-f${process.pid}`];
const setUp = [
  ...[`netns add ${near}`, `netns add ${far}`, `-n ${near} link add zio0 type veth peer name zio0 netns ${far}`],
  ...[`-n ${near} addr add 10.98.7.1/24 dev zio0`, `-n ${far} addr add 10.98.7.2/24 dev zio0`],
  ...[`-n ${near} link set zio0 up`, `-n ${far} link set zio0 up`],
];

test("two network namespaces are the two hosts", async (context) => {
  onTestFinished(() => {
    for (const name of [near, far]) spawnSync("ip", ["netns", "delete", name]);
  });
  for (const step of setUp) {
    const { status, stderr, error } = spawnSync("ip", step.split(" "), { encoding: "utf8" });
    if (status !== 0) return context.skip(`no network namespaces: ${error?.message ?? stderr.trim()}`);
  }
  const inside = (name: string, ...words: string[]) =>
    spawn("ip", ["netns", "exec", name, zio, "bench", "sizes", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const server = inside(far, "--role", "server", "--listen", "10.98.7.2");
  onTestFinished(() => void server.kill("SIGKILL"));
  const [said] = (await new Promise((resolve) => server.stderr.once("data", (text) => resolve([text])))) as [Buffer];
  expect(said.toString()).toContain("serving on 10.98.7.2 port 47100");
  const options = [
    "--pairs",
    "1",
    "--messages",
    "10",
    "--warmup",
    "2",
    "--message-bytes",
    "512K",
    "--policy",
    "always",
  ];
  const client = inside(near, "--role", "client", "--connect", "10.98.7.2", "--json", "-", ...options);
  let json = "";
  let errors = "";
  client.stdout.on("data", (text) => {
    json += text;
  });
  client.stderr.on("data", (text) => {
    errors += text;
  });
  const status = await new Promise((resolve) => client.once("close", resolve));
  if (/zIO does nothing/.test(errors)) return context.skip(errors.trim());
  expect(errors).toContain("elided KiB/msg");
  expect(status).toBe(0);
  const record = JSON.parse(json);
  expect(record.cells).toHaveLength(2);
  expect(record.rows[0].elidedBytes.median).toBeGreaterThan(5 * (512 << 10) * 0.5);
});
