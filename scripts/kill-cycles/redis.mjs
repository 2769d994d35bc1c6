// Redis whose append-only file is logged in a pool: clients write values that a model knows, the file is rewritten at random
// moments, and after each kill every acknowledged value must be there. With `always` Redis writes to its file before it answers;
// with `everysec` it may put that off for two seconds while another thread of it syncs, with and without zIO.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../free-port.mjs";
import { RedisClient } from "../soak/redis-client.mjs";
import { contentOf, KnownValues } from "../soak/values.mjs";

const keyCount = 60;
const writers = 3;
/** So old an answer is in the file with `everysec`: Redis's two seconds, and its clock's tick. */
const putOffMs = 2500;

export class RedisUnderKills {
  name = "redis";
  program = "redis-server";
  debian = "redis-server";
  patterns = ["*.aof"];
  #values;
  #answers = [];
  #killedAt = 0;

  constructor(random) {
    this.random = random;
    this.totals = { writes: 0, bytes: 0, rewrites: 0, unfinished: 0 };
  }

  /** A new directory, in which nothing is known. */
  begin(directory) {
    this.directory = join(directory, "data");
    mkdirSync(this.directory);
    this.#values = new KnownValues(keyCount);
    this.#answers = [];
  }

  async command(cycle) {
    this.port = await freePort();
    const sync = cycle % 2 === 0 ? "always" : "everysec";
    this.putsOff = sync === "everysec";
    return [
      ...["redis-server", "--port", this.port, "--bind", "127.0.0.1", "--dir", this.directory, "--save", ""],
      ...["--appendonly", "yes", "--appendfsync", sync, "--auto-aof-rewrite-percentage", 0],
    ].map(String);
  }

  async #connect({ isRunning }) {
    for (const deadline = Date.now() + 60_000; ; await sleep(30)) {
      try {
        const client = await RedisClient.open(this.port);
        await client.command("PING");
        return client;
      } catch (error) {
        if (!isRunning() || Date.now() > deadline) throw error;
      }
    }
  }

  /** Every key, byte for byte; what was under way at the kill may be there or not. */
  async verify(life) {
    const client = await this.#connect(life);
    for (const { at, key, version } of this.#answers.splice(0))
      if (at < this.#killedAt - putOffMs) this.#values.acknowledge(key, version);
    for (let key = 0; key < keyCount; key++) {
      const [low, high] = [this.#values.oldest(key), this.#values.newest(key)];
      const version = this.#values.check(key, await client.command("GET", `key:${key}`), low, high, "after the kill");
      this.totals.unfinished += high - low;
      this.#values.settle(key, version);
    }
    client.close();
  }

  async #write(client, first, running) {
    for (let turn = 0; running.on; turn++) {
      const key = (first + writers * turn) % keyCount;
      const version = this.#values.issue(key);
      const value = contentOf(key, version);
      await client.command("SET", `key:${key}`, value);
      if (this.putsOff) this.#answers.push({ at: Date.now(), key, version });
      else this.#values.acknowledge(key, version);
      this.totals.writes++;
      this.totals.bytes += value.length;
    }
  }

  /** Writes until the server is gone. */
  async work(running, life) {
    const clients = await Promise.all(Array.from({ length: writers }, () => this.#connect(life)));
    const rewriter = await this.#connect(life);
    const rewrite = async () => {
      while (running.on) {
        await sleep(this.random() * 500);
        await rewriter.command("BGREWRITEAOF");
        for (let info; running.on; await sleep(10)) {
          info = await rewriter.info("persistence");
          if (info.aof_last_bgrewrite_status !== "ok") throw new Error("the append-only file could not be rewritten");
          if (info.aof_rewrite_in_progress === "0" && info.aof_rewrite_scheduled === "0") break;
        }
        if (running.on) this.totals.rewrites++;
      }
    };
    const gone = (error) => {
      if (running.on) throw error;
    };
    await Promise.all([
      ...clients.map((client, first) => this.#write(client, first, running).catch(gone)),
      rewrite().catch(gone),
    ]);
    for (const client of [...clients, rewriter]) client.close();
  }

  /** The server alone, whose child that rewrites notices, or both. */
  kill(life, random) {
    this.#killedAt = Date.now();
    return life.kill(random() < 0.5);
  }

  summary() {
    const { writes, bytes, rewrites, unfinished } = this.totals;
    return `${writes} writes of ${bytes} bytes acknowledged, all there; ${rewrites} rewrites, ${unfinished} writes whose fate was open at a kill`;
  }
}
