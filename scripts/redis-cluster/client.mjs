// A client of a cluster: asks the node that has the key's slot, follows MOVED, and tries again where a node is away or the
// cluster is between two masters. Every command that is sent through it may be repeated.
import { setTimeout as sleep } from "node:timers/promises";
import { RedisClient } from "../soak/redis-client.mjs";
import { slotCount, slotOf } from "./cluster.mjs";

const passing = /^Redis: (CLUSTERDOWN|LOADING|MASTERDOWN|TRYAGAIN|READONLY)|ECONN|EPIPE|closed the connection/;
const patienceMs = 30_000;

export class ClusterClient {
  #connections = new Map();
  #slots = new Array(slotCount);
  repeated = 0;

  constructor(ports) {
    this.ports = ports;
  }

  async #connection(port) {
    if (!this.#connections.has(port)) this.#connections.set(port, RedisClient.open(port));
    return this.#connections.get(port);
  }

  #forget(port) {
    this.#connections.get(port)?.then(
      (client) => client.close(),
      () => {},
    );
    this.#connections.delete(port);
  }

  /** A command whose second word is the key. */
  async command(...words) {
    const slot = slotOf(words[1]);
    let port = this.#slots[slot] ?? this.ports[slot % this.ports.length];
    for (const deadline = Date.now() + patienceMs; ; this.repeated++) {
      try {
        const client = await this.#connection(port);
        const reply = await client.command(...words);
        this.#slots[slot] = port;
        return reply;
      } catch (error) {
        const moved = /^Redis: (?:MOVED|ASK) \d+ [^ ]*:(\d+)/.exec(error.message);
        if (moved) {
          port = Number(moved[1]);
          continue;
        }
        if (!passing.test(`${error.code ?? ""} ${error.message}`.trim()) || Date.now() > deadline) throw error;
        if (!error.message.startsWith("Redis: ")) this.#forget(port);
        await sleep(50);
        // A node that is away cannot say where its slots went; another one can.
        port = this.ports[(this.ports.indexOf(port) + 1) % this.ports.length];
      }
    }
  }

  close() {
    for (const port of [...this.#connections.keys()]) this.#forget(port);
  }
}
