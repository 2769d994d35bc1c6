// Six redis-servers that are one cluster, three with a replica each, all on loopback; and a client that follows keys to
// where they are.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../free-port.mjs";
import { RedisServer } from "../soak/server.mjs";

const nodeCount = 6;
export const slotCount = 16_384;

/** Waits until a condition holds that may throw while a server is away. */
export async function until(what, condition, seconds = 60) {
  let last;
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await sleep(50)) {
    try {
      if (await condition()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`waited ${seconds} s in vain for ${what}${last ? `: ${last.message}` : ""}`);
}

/** CRC-16/XMODEM, by which Redis spreads keys. */
export function slotOf(key) {
  let sum = 0;
  for (const byte of Buffer.from(key)) {
    sum ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) sum = sum & 0x8000 ? ((sum << 1) ^ 0x1021) & 0xffff : sum << 1;
  }
  return sum % slotCount;
}

export class ClusterNode {
  constructor(directory, zio, port, busPort) {
    Object.assign(this, { directory, zio, port, busPort });
  }

  /** Starts it with the files, the identity and the ports that it had. */
  async start() {
    const ofCluster = { "cluster-enabled": "yes", "cluster-port": this.busPort, "cluster-node-timeout": 10_000 };
    // A replica need not wait for others that might want the same copy.
    const settings = { ...ofCluster, "repl-diskless-sync-delay": 0 };
    const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.server = await RedisServer.start(this.directory, this.zio, words, this.port);
    this.client = await this.server.connect();
  }

  async stop() {
    this.client.close();
    await this.server.end("SIGTERM");
  }

  async isMaster() {
    return (await this.client.info("replication")).role === "master";
  }

  /** Whether it is a replica that has all of its master's data. */
  async isInStep() {
    const { role, master_link_status, master_sync_in_progress } = await this.client.info("replication");
    return role === "slave" && master_link_status === "up" && master_sync_in_progress === "0";
  }

  async isOk() {
    const text = String(await this.client.command("CLUSTER", "INFO"));
    return text.includes("cluster_state:ok") && text.includes(`cluster_known_nodes:${nodeCount}`);
  }
}

export class Cluster {
  nodes = [];

  static async start(directory, zio) {
    const cluster = new Cluster();
    for (let index = 0; index < nodeCount; index++) {
      const path = join(directory, `node-${index}`);
      mkdirSync(path);
      const node = new ClusterNode(path, zio, await freePort(), await freePort());
      cluster.nodes.push(node);
      await node.start();
    }
    const addresses = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`);
    const words = ["--cluster", "create", ...addresses, "--cluster-replicas", "1", "--cluster-yes"];
    execFileSync("redis-cli", words, { stdio: ["ignore", "ignore", "inherit"], timeout: 120_000 });
    await cluster.settle();
    return cluster;
  }

  /** Waits until every node sees all slots served, and half of them are replicas in step of the others. */
  async settle() {
    for (const node of this.nodes) await until(`${node.port} to see the cluster`, () => node.isOk());
    await until("each master to have a replica in step", async () => {
      const inStep = await Promise.all(this.nodes.map((node) => node.isInStep()));
      return inStep.filter(Boolean).length === nodeCount / 2;
    });
  }

  /** The replica of a master. */
  async replicaOf(master) {
    const id = String(await master.client.command("CLUSTER", "MYID"));
    const lines = String(await master.client.command("CLUSTER", "NODES")).split("\n");
    const line = lines.find((each) => each.includes("slave") && each.includes(id));
    const port = Number(/^\S+ [^:]*:(\d+)@/.exec(line ?? "")?.[1]);
    const replica = this.nodes.find((node) => node.port === port);
    if (!replica) throw new Error(`${master.port} has no replica:\n${lines.join("\n")}`);
    return replica;
  }

  /** Makes a replica the master. Redis gives up after 5 s where a machine is busy, and wants to be asked again. */
  async handOverTo(replica) {
    let askedMs = Number.NEGATIVE_INFINITY;
    await until(`${replica.port} to take over`, async () => {
      if (await replica.isMaster()) return true;
      if (Date.now() - askedMs < 6000) return false;
      askedMs = Date.now();
      await replica.client.command("CLUSTER", "FAILOVER");
      return false;
    });
  }

  /** Restarts each node in turn; a master hands over to its replica first. */
  async restartInTurn(tell) {
    for (const node of [...this.nodes]) {
      const wasMaster = await node.isMaster();
      if (wasMaster) {
        let replica;
        await until(`${node.port} to know its replica`, async () => {
          replica = await this.replicaOf(node);
          return true;
        });
        await until(`${replica.port} to be in step`, () => replica.isInStep());
        await this.handOverTo(replica);
        await until(`${node.port} to follow it`, () => node.isInStep());
      }
      await node.stop();
      await node.start();
      await until(`${node.port} to be back`, async () => (await node.isOk()) && (await node.isInStep()));
      tell(`${node.port} was restarted${wasMaster ? " after its replica took over" : ""}`);
    }
  }

  async stop() {
    for (const { server } of this.nodes) if (server?.isRunning) await server.end("SIGTERM");
  }
}
