// A server of an example as a child process, plain or under zIO: its port, its counters, the processor time it took.
import { spawn as spawnPlain } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { spawn } from "@zio/runtime";

/** The names of the examples: the folders with a load.mjs. */
export const names = ["http-proxy", "websocket-relay", "file-server"];

export async function openExample(name) {
  const { open } = await import(`./${name}/load.mjs`);
  return open();
}

/** Starts the server of an example; `zio` are settings of zIO, undefined for a plain start. */
export async function start({ program, args }, zio) {
  const words = [fileURLToPath(program), ...args];
  const options = { stdio: ["ignore", "pipe", "inherit"] };
  const child = zio
    ? spawn(process.execPath, words, { ...options, zio })
    : spawnPlain(process.execPath, words, options);
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([once(lines, "line"), ended.then(() => [""])]);
  const port = Number(/^port (\d+)$/.exec(line)?.[1]);
  if (Number.isNaN(port)) throw new Error(`${words[0]} ended without a port`);
  return {
    port,
    problem: zio ? child.zio.problem : undefined,
    stats: () => child.zio?.stats(),
    /** Whether libzio.so is loaded in it. */
    mappedLibrary: () => readFileSync(`/proc/${child.pid}/maps`, "latin1").includes("/libzio.so"),
    /** Of all its threads, zIO's included, in ticks of the kernel's clock: 10 ms. */
    cpuMs() {
      const stat = readFileSync(`/proc/${child.pid}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    async stop() {
      child.kill("SIGTERM");
      const [status, signal] = await ended;
      if (status !== 0) throw new Error(`${words[0]} ended with ${signal ?? status}`);
    },
  };
}
