// The soak's load: clients that write their own keys and read everybody's, each reply compared with the model.
import { setTimeout as sleep } from "node:timers/promises";
import { contentOf } from "./values.mjs";

/** So many ms a client rests between its pipelines, on average: the soak shares its machine. */
const restMs = 60;
const below = (limit) => Math.floor(Math.random() * limit);

class Client {
  constructor(run, number, redis) {
    Object.assign(this, { run, number, redis });
  }

  ownKey() {
    const { values, clientCount } = this.run;
    return this.number + clientCount * below(values.keyCount / clientCount);
  }

  async set(key) {
    const { values, tally } = this.run;
    const version = values.issue(key);
    const value = contentOf(key, version);
    const reply = await this.redis.command("SET", `key:${key}`, value);
    if (reply !== "OK") throw new Error(`SET replied ${reply}`);
    values.acknowledge(key, version);
    tally.written += value.length;
  }

  async delete(key) {
    const { values } = this.run;
    const version = values.issue(key, true);
    await this.redis.command("DEL", `key:${key}`);
    values.acknowledge(key, version);
  }

  /** A key of this client: the pipeline says exactly which version it has. */
  async getOwn(key) {
    const { values } = this.run;
    const version = values.newest(key);
    this.read(key, await this.redis.command("GET", `key:${key}`), version, version, "GET");
  }

  async getRange(key) {
    const { values } = this.run;
    const version = values.current(key);
    if (version === undefined) return this.getOwn(key);
    const expected = contentOf(key, version);
    const from = below(expected.length);
    const to = from + below(expected.length - from);
    const part = await this.redis.command("GETRANGE", `key:${key}`, from, to);
    if (!part.equals(expected.subarray(from, to + 1)))
      throw new Error(`GETRANGE: key ${key}, version ${version}, bytes ${from} to ${to} are wrong`);
  }

  async getForeign(key) {
    const { values } = this.run;
    const low = values.oldest(key);
    const value = await this.redis.command("GET", `key:${key}`);
    this.read(key, value, low, values.newest(key), "GET of another client's key");
  }

  read(key, value, low, high, what) {
    this.run.values.check(key, value, low, high, what);
    this.run.tally.read += value?.length ?? 0;
  }

  one() {
    const chosen = Math.random();
    const key = this.ownKey();
    this.run.tally.operations++;
    if (chosen < 0.45) return this.set(key);
    if (chosen < 0.5) return this.delete(key);
    if (chosen < 0.75) return this.getOwn(key);
    if (chosen < 0.85) return this.getRange(key);
    return this.getForeign(below(this.run.values.keyCount));
  }

  async work() {
    while (!this.run.stopping) {
      await Promise.all(Array.from({ length: 1 + below(4) }, () => this.one()));
      await sleep(Math.random() * 2 * restMs);
    }
  }
}

/** Works until `run.stopping`, or until the server goes while `run.killing`. */
export async function runClient(run, number) {
  const redis = await run.server.connect();
  try {
    await new Client(run, number, redis).work();
  } catch (error) {
    if (!run.killing || !/ECONNRESET|EPIPE|closed/.test(`${error.code} ${error.message}`)) throw error;
  } finally {
    redis.close();
  }
}
