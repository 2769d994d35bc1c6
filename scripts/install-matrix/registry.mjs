// A registry on loopback for one run: verdaccio with its storage in a given directory. Packages of other people come from
// the registry that npm is configured with; ours never leave this machine.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../free-port.mjs";
import { releaseTools } from "./release-tools.mjs";

function configuration(upstream) {
  return JSON.stringify({
    storage: "./storage",
    auth: { htpasswd: { file: "./htpasswd", max_users: -1 } },
    uplinks: { upstream: { url: upstream, timeout: "60s", max_fails: 100, fail_timeout: "1s" } },
    packages: {
      "@zio/*": { access: "$all", publish: "$anonymous", unpublish: "$anonymous" },
      "**": { access: "$all", proxy: "upstream" },
    },
    max_body_size: "100mb",
    publish: { allow_offline: true },
    web: { enable: false },
    log: { type: "stdout", format: "json", level: "warn" },
  });
}

/** Starts a registry; `stop` ends it. Throws where it does not answer within 30 s. */
export async function startRegistry(directory, env) {
  mkdirSync(directory, { recursive: true });
  const npm = spawnSync("npm", ["config", "get", "registry"], { env, encoding: "utf8" });
  const upstream = npm.stdout.trim();
  writeFileSync(join(directory, "config.yaml"), configuration(upstream));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const log = join(directory, "log");
  const output = openSync(log, "w");
  const script = join(releaseTools, "node_modules/verdaccio/bin/verdaccio");
  const words = [script, "--config", join(directory, "config.yaml"), "--listen", `127.0.0.1:${port}`];
  const child = spawn(process.execPath, words, { env, cwd: directory, stdio: ["ignore", output, output] });
  const stop = () => child.kill("SIGKILL");
  for (const deadline = Date.now() + 30_000; ; await sleep(100)) {
    if (
      await fetch(`${url}-/ping`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return { url, stop, log };
    if (child.exitCode === null && Date.now() < deadline) continue;
    stop();
    throw new Error(`verdaccio does not start: ${readFileSync(log, "utf8")}`);
  }
}
