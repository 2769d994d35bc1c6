// A replica is brought up to date, by a fork of its master, while values keep coming in.
import { setTimeout as sleep } from "node:timers/promises";
import { describeApp } from "./app-session.js";
import { expectSame } from "./content.js";
import { KnownValues, RedisServer } from "./redis-server.js";
import type { RespClient } from "./resp-client.js";

const mebibyte = 1 << 20;
const app = {
  programs: ["redis-server"],
  evidence: { redirectedBytes: 16 * mebibyte, elidedBytes: mebibyte },
  withoutMove: true,
};
const sizes = [1024, 70_000, 262_144, 1_500_000];
const keys = Array.from({ length: 24 }, (_, index) => `key:${sizes[index % sizes.length]}:${index}`);

async function waitForLink(replica: RespClient): Promise<void> {
  while ((await replica.info("replication")).get("master_link_status") !== "up") await sleep(20);
}

/** SETs until `isDone`, and looks at a value now and then. */
async function setUntil(client: RespClient, values: KnownValues, isDone: () => boolean): Promise<void> {
  for (let step = 0; !isDone() || step < 2 * keys.length; step++) {
    const key = keys[(step * 5) % keys.length]!;
    const value = values.next(key);
    await client.set(key, value);
    if (step % 8 === 7) expectSame(await client.get(key), value, `${key} while the replica loads`);
  }
}

describeApp("a Redis replica follows its master through large SETs and joins again", app, async (session) => {
  const values = new KnownValues((key) => Number(key.split(":")[1]));
  const master = await RedisServer.start(session, "master", "--repl-diskless-sync-delay", "0");
  const client = await master.connect();
  for (const diskless of ["yes", "no"]) {
    await client.command("CONFIG", "SET", "repl-diskless-sync", diskless);
    await Promise.all(keys.map((key) => client.set(key, values.next(key))));
    const replica = await RedisServer.start(session, `replica-${diskless}`, "--replicaof", `127.0.0.1 ${master.port}`);
    const reader = await replica.connect();
    let isLinked = false;
    const linked = waitForLink(reader).then(() => {
      isLinked = true;
    });
    await Promise.all([linked, setUntil(client, values, () => isLinked)]);
    const replicas = await client.command("WAIT", "1", "20000");
    if (replicas !== 1) throw new Error(`${String(replicas)} replicas follow`);
    await values.verify(reader);
    await replica.shutDown();
  }
  await values.verify(client);
  await master.shutDown();
});
