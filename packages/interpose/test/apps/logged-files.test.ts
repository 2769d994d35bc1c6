// Real programs whose files are logged in a pool: Redis with its append-only file, killed and started again; SQLite in
// several processes. In the end the files are read without zIO.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { providerPath } from "@zio/nvm";
import { type AppSession, describeApp } from "./app-session.js";
import { KnownValues, RedisServer } from "./redis-server.js";

const mebibyte = 1 << 20;
const sqliteProgram = fileURLToPath(new URL("programs/sqlite_writers.py", import.meta.url));

/** The pool lies in memory; it goes with the session. */
async function withPool(session: AppSession, patterns: string, body: () => Promise<void>): Promise<void> {
  const pool = join("/dev/shm", `zio-app-${process.pid}-${session.setting.replaceAll(" ", "-")}`);
  rmSync(pool, { force: true });
  Object.assign(session.variables, {
    ZIO_NVM: pool,
    ZIO_NVM_FILES: patterns,
    ZIO_NVM_SIZE: "256M",
    ZIO_NVM_PROVIDER: providerPath(),
    ZIO_NVM_TREE: "session",
  });
  try {
    await body();
  } finally {
    rmSync(pool, { force: true });
  }
}

const keys = Array.from({ length: 24 }, (_, index) => `key:${[2048, 65_536, 200_000, 524_288][index % 4]}:${index}`);

for (const policy of ["always", "everysec"])
  describeApp(
    `Redis logs its append-only file (${policy}) in a pool, is killed, and has every value`,
    {
      programs: ["redis-server"],
      evidence: { loggedBytes: 16 * mebibyte, loggedByReferenceBytes: 8 * mebibyte },
      withoutMove: true,
    },
    async (session) => {
      const values = new KnownValues((key) => Number(key.split(":")[1]));
      const settings = ["--appendonly", "yes", "--appendfsync", policy, "--auto-aof-rewrite-percentage", "0"];
      const setAll = async (server: RedisServer) => {
        const client = await server.connect();
        await Promise.all(keys.map((key) => client.set(key, values.next(key))));
        return client;
      };
      await withPool(session, "*.aof:*.rdb:*.manifest", async () => {
        for (let round = 0; round < 3; round++) {
          const server = await RedisServer.start(session, "log", ...settings);
          const client = await server.connect();
          if (round > 0) await values.verify(client);
          await setAll(server);
          await client.command("BGREWRITEAOF");
          await setAll(server);
          if (round > 0) await server.waitWhile(client, "aof_rewrite_in_progress", "aof_rewrite_scheduled");
          await setAll(server);
          await (round < 2 ? server.kill() : server.shutDown());
        }
      });
      session.plain = true;
      const server = await RedisServer.start(session, "log", ...settings);
      await values.verify(await server.connect());
      await server.shutDown();
    },
  );

for (const mode of ["delete", "truncate", "wal"])
  describeApp(
    `SQLite in several processes logs its files in a pool, journal mode ${mode}`,
    { programs: ["python3"], evidence: { loggedBytes: mebibyte } },
    async (session) => {
      await withPool(session, "data.sqlite*", async () => {
        const output = await session.run("python3", [sqliteProgram, "data.sqlite", mode]);
        const expected = [mode, "[0, 0, 0, 0]", "-9", "(120, 1458000)", "(60, 708000)", "ok", ""].join("\n");
        if (output.toString() !== expected) throw new Error(output.toString());
      });
      const look =
        "import sqlite3; c = sqlite3.connect('data.sqlite'); print(c.execute('pragma integrity_check').fetchone()[0], c.execute('select count(*), sum(length(data)) from rows').fetchone())";
      const output = await session.run("python3", ["-c", look], { plain: true });
      if (output.toString() !== "ok (60, 708000)\n") throw new Error(output.toString());
    },
  );
