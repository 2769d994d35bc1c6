// A Redis Cluster of six servers under zIO on loopback, and a rolling restart while clients write and read: every reply is
// compared with a model, no acknowledged write may be lost, and the counters must show elision in each server.
// `--policy always|learn` (always), `--keys N` (120), `--plain` without zIO, `--short` for .ci/run.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { setUpOrExit } from "./setup.mjs";

const { values } = parseArgs({
  options: {
    policy: { type: "string", default: "always" },
    keys: { type: "string", default: "120" },
    plain: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
  },
});
const writers = 3;
const pauseMs = 10;
const keyCount = values.short ? 60 : Number(values.keys);

const progress = (text) => process.stderr.write(`zio: cluster: ${text}\n`);
for (const tool of ["redis-server", "redis-cli"]) {
  if (spawnSync(tool, ["--version"]).status === 0) continue;
  progress(`skipped: ${tool} is not installed`);
  process.exit(77);
}
await setUpOrExit();
// What was only just built.
const { capabilities } = await import("../packages/fault-handler/dist/index.js");
const { readStatsDirectory } = await import("../packages/interpose/dist/index.js");
const { Cluster, until } = await import("./redis-cluster/cluster.mjs");
const { ClusterClient } = await import("./redis-cluster/client.mjs");
const { contentOf, KnownValues } = await import("./soak/values.mjs");

const found = capabilities();
if (!values.plain && !found.available) {
  progress(`skipped: no userfaultfd: ${found.reason}`);
  process.exit(77);
}

const known = new KnownValues(keyCount);
const done = { writes: 0, reads: 0, bytes: 0 };
const nameOf = (key) => `key:${key}`;

async function write(client, key) {
  const version = known.issue(key);
  const value = contentOf(key, version);
  await client.command("SET", nameOf(key), value);
  known.acknowledge(key, version);
  done.writes++;
  done.bytes += value.length;
}

async function read(client, key) {
  const low = known.oldest(key);
  const value = await client.command("GET", nameOf(key));
  known.check(key, value, low, known.newest(key), "GET");
  done.reads++;
}

/** Writes its own keys and reads everybody's until it is told to stop. */
async function work(client, first, running) {
  for (let turn = 0; running.on; turn++) {
    const key = first + writers * (turn % Math.floor(keyCount / writers));
    await write(client, key);
    await read(client, (key * 7 + turn) % keyCount);
    await sleep(pauseMs); // a cluster under load, not a measurement
  }
}

const serversIn = ({ processes }) => processes.filter(({ command }) => command.includes("redis-server"));

/** Whether input has landed in origins of each server's present life. */
function hasLanded(cluster, counters) {
  const servers = serversIn(readStatsDirectory(counters));
  return cluster.nodes.every(
    ({ server }) => servers.find(({ pid }) => pid === server.child.pid)?.counters.redirectedBytes > 0,
  );
}

function checkCounters(counters) {
  const stats = readStatsDirectory(counters);
  const servers = serversIn(stats);
  const { totals } = stats;
  progress(`${servers.length} processes, ${totals.redirectedBytes} bytes redirected, ${totals.elidedBytes} elided`);
  const idle = servers.filter(({ state }) => state !== "active" && state !== "idle");
  if (idle.length > 0) throw new Error(`without zIO: ${idle[0].state}`);
  if (values.policy === "always" && totals.elidedBytes < done.bytes / 4)
    throw new Error(`only ${totals.elidedBytes} of ${done.bytes} bytes written were elided`);
}

const directory = mkdtempSync(join(tmpdir(), "zio-cluster-"));
const counters = join(directory, "counters");
mkdirSync(counters);
let cluster;
try {
  const began = Date.now();
  cluster = await Cluster.start(
    directory,
    values.plain ? undefined : { policy: values.policy, statsDirectory: counters },
  );
  const ports = cluster.nodes.map(({ port }) => port);
  progress(`six servers on ${ports.join(", ")}, ${values.plain ? "plain" : values.policy}`);
  const clients = Array.from({ length: writers }, () => new ClusterClient(ports));
  for (let key = 0; key < keyCount; key++) await write(clients[0], key);
  const running = { on: true };
  const working = Promise.all(clients.map((client, first) => work(client, first, running)));
  const restarting = cluster.restartInTurn(progress).then(async () => {
    // The one that was restarted last may have had no write yet.
    if (values.plain || values.policy !== "always") return;
    await until("input to land in origins of each server", () => hasLanded(cluster, counters));
  });
  await Promise.race([working, restarting]);
  running.on = false;
  await working;
  await cluster.settle();
  for (let key = 0; key < keyCount; key++) await read(clients[0], key);
  const repeated = clients.reduce((sum, client) => sum + client.repeated, 0);
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  progress(
    `${done.writes} writes of ${done.bytes} bytes, ${done.reads} reads, all right; ${repeated} tried again; ${seconds} s`,
  );
  for (const client of clients) client.close();
  if (!values.plain) checkCounters(counters);
  progress("passed");
} catch (error) {
  progress(`failed: ${error.stack}`);
  for (const { server } of cluster?.nodes ?? []) if (server && !server.isRunning) progress(server.describe());
  process.exitCode = 1;
} finally {
  for (const { server } of cluster?.nodes ?? []) if (server?.isRunning) server.child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
}
