// One redis-server at a time, under zIO or plain, and what can be seen of it from outside.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { environment, readStatsDirectory } from "../../packages/interpose/dist/index.js";
import { freePort } from "../free-port.mjs";
import { RedisClient } from "./redis-client.mjs";

export class RedisServer {
  #output = "";

  /** `zio`: what `environment` of @zio/interpose takes; undefined: plain. */
  static async start(directory, zio, settings = [], port = undefined) {
    const server = new RedisServer();
    server.port = port ?? (await freePort());
    server.statsDirectory = zio?.statsDirectory;
    const own = ["--port", server.port, "--bind", "127.0.0.1", "--dir", directory, "--save", "", "--daemonize", "no"];
    const { LD_PRELOAD, ...base } = process.env;
    const env = zio ? { ...base, ...environment({ base, ...zio }) } : base;
    server.child = spawn("redis-server", [...own.map(String), ...settings], { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [server.child.stdout, server.child.stderr])
      stream.on("data", (chunk) => {
        server.#output = (server.#output + chunk.toString("latin1")).slice(-4000);
      });
    server.ended = once(server.child, "exit");
    await server.#answers();
    return server;
  }

  get isRunning() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** How it ended, if it did, and what it last said. */
  describe() {
    const { exitCode, signalCode, pid } = this.child;
    return `redis-server ${pid}: ${signalCode ?? exitCode ?? "running"}; it last said:\n${this.#output}`;
  }

  async #answers() {
    for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
      try {
        const client = await RedisClient.open(this.port);
        try {
          await client.command("PING");
          return;
        } finally {
          client.close();
        }
      } catch (error) {
        if (!this.isRunning || Date.now() > deadline) throw new Error(this.describe(), { cause: error });
      }
    }
  }

  connect() {
    return RedisClient.open(this.port);
  }

  async end(signal) {
    this.child.kill(signal);
    const late = sleep(20_000, undefined, { ref: false }).then(() => {
      this.child.kill("SIGKILL");
      throw new Error(`no end within 20 s of ${signal}; ${this.describe()}`);
    });
    await Promise.race([this.ended, late]);
  }

  /** The counters of this very process, or undefined without zIO. */
  page() {
    if (!this.statsDirectory) return undefined;
    return readStatsDirectory(this.statsDirectory).processes.find(({ pid }) => pid === this.child.pid);
  }

  /** What must not grow. */
  async sample(client) {
    const base = `/proc/${this.child.pid}`;
    const status = readFileSync(`${base}/status`, "latin1");
    const { used_memory } = await client.info("memory");
    const { views = 0, origins = 0, originBytes = 0 } = this.page()?.counters ?? {};
    return {
      rssBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) * 1024,
      threads: Number(/^Threads:\s+(\d+)/m.exec(status)[1]),
      descriptors: readdirSync(`${base}/fd`).length,
      mappings: readFileSync(`${base}/maps`, "latin1").split("\n").length - 1,
      usedBytes: Number(used_memory),
      views,
      origins,
      originBytes,
    };
  }
}
