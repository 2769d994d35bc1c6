// Redis forks to write its files while values keep coming in: the child must see memory as it was at the fork.
import { statSync } from "node:fs";
import { join } from "node:path";
import { describeApp } from "./app-session.js";
import { expectSame } from "./content.js";
import { KnownValues, RedisServer } from "./redis-server.js";

const mebibyte = 1 << 20;
const evidence = { redirectedBytes: 8 * mebibyte, elidedBytes: mebibyte };
const app = { programs: ["redis-server"], evidence, withoutMove: true };
const sizes = [2048, 20_000, 65_536, 131_072, 524_288, 1_500_000];
const keys = Array.from({ length: 36 }, (_, index) => `key:${sizes[index % sizes.length]}:${index}`);
const knownValues = () => new KnownValues((key) => Number(key.split(":")[1]));

describeApp("Redis saves a snapshot during SETs and loads it again", app, async (session) => {
  const values = knownValues();
  let server = await RedisServer.start(session, "snapshots");
  for (let round = 0; round < 3; round++) {
    const client = await server.connect();
    await Promise.all(keys.map((key) => client.set(key, values.next(key))));
    // On one connection Redis forks exactly between the SETs before BGSAVE and those behind it.
    const before = keys.slice(0, 12).map((key) => client.set(key, values.next(key)));
    const saving = client.command("BGSAVE");
    const atFork = values.snapshot();
    const behind: Promise<void>[] = [];
    let isSaving = true;
    const saved = saving
      .then(() => server.connect())
      .then(async (watcher) => {
        await server.waitWhile(watcher, "rdb_bgsave_in_progress");
        isSaving = false;
      });
    for (let step = 0; isSaving || step < 2 * keys.length; step++) {
      const key = keys[(step * 5) % keys.length]!;
      const value = values.next(key);
      behind.push(client.set(key, value));
      if (step % 8 === 7) expectSame(await client.get(key), value, `${key} while saving`);
    }
    await Promise.all([...before, saved, ...behind]);
    await values.verify(client);
    const { get } = await client.info("persistence").then((info) => ({ get: (name: string) => info.get(name) }));
    if (get("rdb_last_bgsave_status") !== "ok") throw new Error(`BGSAVE: ${get("rdb_last_bgsave_status")}`);
    await server.shutDown();

    server = await RedisServer.start(session, "snapshots");
    await values.verify(await server.connect(), atFork);
  }
  await server.shutDown();
});

describeApp("Redis rewrites its append-only file during SETs and replays it", app, async (session) => {
  const values = knownValues();
  const settings = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"];
  let server = await RedisServer.start(session, "log", ...settings);
  for (let round = 0; round < 3; round++) {
    const client = await server.connect();
    await Promise.all(keys.map((key) => client.set(key, values.next(key))));
    const pending = [client.command("BGREWRITEAOF")];
    let isRewriting = true;
    const rewritten = pending[0]!
      .then(() => server.connect())
      .then(async (watcher) => {
        await server.waitWhile(watcher, "aof_rewrite_in_progress", "aof_rewrite_scheduled");
        isRewriting = false;
      });
    for (let step = 0; isRewriting || step < 2 * keys.length; step++) {
      const key = keys[(step * 7) % keys.length]!;
      const value = values.next(key);
      await client.set(key, value);
      if (step % 8 === 7) expectSame(await client.get(key), value, `${key} while rewriting`);
    }
    await Promise.all([...pending, rewritten]);
    await values.verify(client);
    const info = await client.info("persistence");
    for (const name of ["aof_last_bgrewrite_status", "aof_last_write_status"])
      if (info.get(name) !== "ok") throw new Error(`${name}: ${info.get(name)}`);
    await server.shutDown();

    server = await RedisServer.start(session, "log", ...settings);
    await values.verify(await server.connect());
  }
  await server.shutDown();
  if (statSync(join(session.directory, "log/appendonlydir")).isDirectory() === false)
    throw new Error("no log was kept");
});
