// `node scripts/soak.mjs [--minutes N] [--policy always,learn] [--json FILE]`: Redis under zIO for N minutes a policy (15):
// eight clients write, read and delete values of 1 KiB to 1 MiB, each reply compared with a model; every 20 s a BGSAVE whose
// file a plain redis-server must load with what the model says of the moment of the fork; kill -9 and restart, after which
// every acknowledged value must be there. The last life is long, and in it nothing may grow: memory, descriptors,
// mappings, views, origins. What was seen goes to standard output; the status is 1 when anything was wrong.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readStatsDirectory } from "../packages/interpose/dist/index.js";
import { runClient } from "./soak/clients.mjs";
import { growth, showLife } from "./soak/growth.mjs";
import { RedisServer } from "./soak/server.mjs";
import { KnownValues } from "./soak/values.mjs";

const clientCount = 8;
const keyCount = 192;
const saveEverySeconds = 20;
/** The server is killed after these parts of the whole; the rest is the long life. */
const shortLives = [1 / 8, 1 / 8, 1 / 8];
// Not everysec: while a flush to the disk is slow, Redis then answers before it writes to its log, and SIGKILL may take
// away what was acknowledged, without zIO too. Without flushes every answer comes after the write.
const durable = ["--appendonly", "yes", "--appendfsync", "no"];

const progress = (text) => process.stderr.write(`soak: ${text}\n`);

class Run {
  values = new KnownValues(keyCount);
  clientCount = clientCount;
  tally = { operations: 0, written: 0, read: 0, saves: 0, kills: 0, unfinished: 0 };
  stopping = false;
  killing = false;

  constructor(policy, seconds, directory) {
    Object.assign(this, { policy, seconds, directory, counters: join(directory, "counters") });
    this.data = join(directory, "data");
    for (const path of [directory, this.counters, this.data]) mkdirSync(path);
  }

  async start() {
    this.server = await RedisServer.start(this.data, { policy: this.policy, statsDirectory: this.counters }, durable);
    this.control = await this.server.connect();
  }

  /** What a server holds must be what the model allows; returns the versions found. */
  async verify(client, bounds, what) {
    const found = [];
    for (let key = 0; key < keyCount; key++) {
      const { low, high } = bounds[key];
      found.push(this.values.check(key, await client.command("GET", `key:${key}`), low, high, what));
    }
    const expected = found.filter((version, key) => !this.values.isGone(key, version)).length;
    const count = await client.command("DBSIZE");
    if (count !== expected) throw new Error(`${what}: ${count} keys instead of ${expected}`);
    return found;
  }

  bounds() {
    return Array.from({ length: keyCount }, (_, key) => ({
      low: this.values.oldest(key),
      high: this.values.newest(key),
    }));
  }

  /** The state at the fork lies between what was acknowledged before and what was issued until the reply. */
  async save() {
    const before = this.bounds();
    try {
      await this.control.command("BGSAVE");
    } catch (error) {
      if (/can't BGSAVE|in progress/.test(error.message)) return false; // an AOF rewrite is under way
      throw error;
    }
    const bounds = this.bounds().map(({ high }, key) => ({ low: before[key].low, high }));
    for (;;) {
      const info = await this.control.info("persistence");
      if (info.rdb_last_bgsave_status !== "ok") throw new Error(`BGSAVE: ${info.rdb_last_bgsave_status}`);
      if (info.rdb_bgsave_in_progress === "0") break;
      await sleep(50);
    }
    await this.checkSnapshot(bounds);
    this.tally.saves++;
    return true;
  }

  async checkSnapshot(bounds) {
    const directory = join(this.directory, "snapshot");
    mkdirSync(directory, { recursive: true });
    copyFileSync(join(this.data, "dump.rdb"), join(directory, "dump.rdb"));
    const reader = await RedisServer.start(directory, undefined);
    try {
      const client = await reader.connect();
      await this.verify(client, bounds, `snapshot ${this.tally.saves + 1}`);
      client.close();
    } finally {
      await reader.end("SIGKILL");
    }
  }

  /** One life of the server: load, samples and snapshots, until kill -9. */
  async live(seconds) {
    const samples = [];
    const end = Date.now() + seconds * 1000;
    const saveEvery = Math.min(saveEverySeconds, this.seconds / 6) * 1000;
    this.stopping = this.killing = false;
    const clients = Array.from({ length: clientCount }, (_, number) => runClient(this, number));
    const failed = Promise.all(clients).then(() => new Promise(() => {}));
    failed.catch(() => {});
    const watch = async () => {
      for (let nextSave = Date.now() + saveEvery; Date.now() < end; await sleep(1000)) {
        samples.push(await this.server.sample(this.control));
        if (Date.now() >= nextSave) nextSave = (await this.save()) ? nextSave + saveEvery : Date.now() + 1000;
      }
    };
    await Promise.race([watch(), failed]);
    this.killing = true;
    await this.server.end("SIGKILL");
    this.stopping = true;
    await Promise.all(clients);
    this.control.close();
    this.tally.kills++;
    return samples;
  }

  /** After kill -9 every acknowledged write is there, and of the others all or nothing. */
  async recover() {
    const bounds = this.bounds();
    this.tally.unfinished += bounds.filter(({ low, high }) => low !== high).length;
    await this.start();
    const found = await this.verify(this.control, bounds, `after kill ${this.tally.kills}`);
    for (const [key, version] of found.entries()) this.values.settle(key, version);
  }

  /** An empty server holds on to nothing. */
  async empty() {
    await this.control.command("FLUSHALL");
    this.values.forgetAll();
    const client = await this.server.connect();
    for (let i = 0; i < 20; i++) await client.command("SET", "last", Buffer.alloc(100_000, i));
    await client.command("DEL", "last");
    client.close();
    await sleep(2000);
    const sample = await this.server.sample(this.control);
    this.control.close();
    await this.server.end("SIGTERM");
    if (this.server.child.exitCode !== 0) throw new Error(this.server.describe());
    return sample;
  }

  async soak() {
    await this.start();
    let life;
    for (const part of [...shortLives, 1 - shortLives.reduce((sum, next) => sum + next)]) {
      progress(`${this.policy}: a life of ${Math.round(part * this.seconds)} s; ${JSON.stringify(this.tally)}`);
      life = await this.live(part * this.seconds);
      await this.recover();
    }
    const emptied = await this.empty();
    const { totals } = readStatsDirectory(this.counters);
    const problems = growth(life, emptied);
    if (this.policy === "always" && !(totals.redirectedBytes > 0 && totals.elidedBytes > 0))
      problems.push("nothing was redirected or elided: zIO did not work");
    return { policy: this.policy, tally: this.tally, life: showLife(life), emptied, totals, problems };
  }
}

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "15" },
    policy: { type: "string", default: "always,learn" },
    json: { type: "string" },
  },
});
const scratch = mkdtempSync(join(tmpdir(), "zio-soak-"));
const results = [];
try {
  for (const policy of options.policy.split(",")) {
    const run = new Run(policy, Number(options.minutes) * 60, join(scratch, policy));
    try {
      results.push(await run.soak());
    } catch (error) {
      results.push({ policy, tally: run.tally, problems: [`${error.stack}\n${run.server?.describe()}`] });
    } finally {
      if (run.server?.isRunning) run.server.child.kill("SIGKILL");
    }
    console.log(JSON.stringify(results.at(-1), null, 2));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (options.json) writeFileSync(options.json, JSON.stringify(results, null, 2));
const failed = results.filter(({ problems }) => problems.length > 0);
for (const { policy, problems } of failed) for (const problem of problems) progress(`${policy}: ${problem}`);
progress(failed.length > 0 ? "failed" : "passed");
process.exitCode = failed.length > 0 ? 1 : 0;
