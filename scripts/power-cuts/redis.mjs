// The workload on Redis under zIO, whose append-only file, synced at each write, lies on a disk and is logged in the pool.
import { execFileSync } from "node:child_process";
import { Acknowledged, compile } from "./acknowledged.mjs";

export class Redis extends Acknowledged {
  name = "redis";

  constructor() {
    super(6); // as in keys.c
  }

  async programs(directory) {
    const { libraryPath } = await import("../../packages/interpose/dist/index.js");
    const { providerPath } = await import("../../packages/nvm/dist/index.js");
    const server = execFileSync("sh", ["-c", "command -v redis-server"], { encoding: "utf8" }).trim();
    return {
      "opt/records": compile("records", directory),
      "opt/keys": compile("keys", directory),
      "opt/redis-server": server,
      "opt/libzio.so": libraryPath(),
      "opt/libzio-nvm.so": providerPath(),
    };
  }
}
