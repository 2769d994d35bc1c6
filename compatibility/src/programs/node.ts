// Scripts of our own for Node (material/node), verified by hashes.
import { readdirSync } from "node:fs";
import type { Program } from "../program.js";

export const node: Program = {
  name: "node",
  title: "Node.js",
  what: "scripts of our own: pipes, back-pressure, HTTP and TLS proxies, HTTP/2, fetch, zlib, files, workers, clusters; hashes",
  debianPackages: [],
  version: () => process.versions.node,

  async run(context) {
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const scripts = readdirSync(context.material("node")).filter((name) => name !== "support.mjs");
    for (const script of scripts) {
      const args = ["--no-warnings", context.material(`node/${script}`)];
      const { status, signal, stdout, stderr } = await context.run(process.execPath, args);
      same[script] = `${signal ?? status}\n${stdout}${stderr}`;
      if (status !== 0) failed.push(`${script} ends with success`);
    }
    return { checks: scripts.length, failed, same };
  },
};
