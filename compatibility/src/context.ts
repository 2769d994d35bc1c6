// One run of a program: its scratch directory, its environment, its counters, and the end of all that it started.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { environment, libraryPath, type Settings } from "@zio/interpose";
import { type RunCounters, readCounters } from "./counters.js";
import { sourceDirectory } from "./debian.js";
import { finish, killMarked, marked, startProcess } from "./processes.js";
import type { Context, Mode, Outcome, Program, StartOptions } from "./program.js";

const material = fileURLToPath(new URL("../material/", import.meta.url));

export interface Run {
  outcome: Outcome;
  counters: RunCounters;
  seconds: number;
}

const given = new Set<number>();

/** Below those that the kernel gives to outgoing connections: one of them could take it before the server does. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (!free || given.has(port)) continue;
    given.add(port);
    return port;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.on("close", () => {}).once("connect", () => socket.destroy());
  });
}

async function untilListening(port: number, timeoutMs = 20_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(50)) if (await listens(port)) return;
  throw new Error(`nothing listens within ${timeoutMs / 1000} s`);
}

/** What a program's environment is in both modes: Debian's own commands, and no zIO around us. */
function baseEnvironment(directory: string): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ZIO_|npm_|LC_)/.test(name)));
  delete env.LD_PRELOAD;
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return { ...env, PATH: path, LC_ALL: "C.UTF-8", HOME: directory, TMPDIR: directory, NO_COLOR: "1" };
}

/** Runs a program once. Throws what its `run` throws. */
export async function runOnce(
  program: Program,
  mode: Mode,
  settings: Settings,
  log: (text: string) => void,
  keep: boolean,
): Promise<Run> {
  const base = mkdtempSync(join(tmpdir(), `zio-${program.name}-${mode}-`));
  const [directory, stats] = [join(base, "run"), join(base, "stats")];
  for (const path of [directory, stats]) mkdirSync(path);
  // Servers drop their privileges: whatever user they become writes its page here.
  chmodSync(base, 0o755);
  chmodSync(stats, 0o1777);
  const plain = marked(baseEnvironment(directory), base);
  // A copy: the checkout may be built again while the program runs.
  const library = join(base, "libzio.so");
  copyFileSync(libraryPath(), library);
  const under = { ...plain, ...environment({ ...settings, statsDirectory: stats, base: plain, library }) };
  const env = mode === "zio" ? under : plain;
  const environmentFor = (options: StartOptions) => ({ ...(options.plain ? plain : env), ...options.env });
  const where = (options: StartOptions) => ({ cwd: directory, ...options });

  const context: Context = {
    mode,
    directory,
    environment: env,
    material: (path) => join(material, path),
    source: sourceDirectory,
    freePort,
    untilListening,
    start: (command, args = [], options = {}) => startProcess(command, args, environmentFor(options), where(options)),
    run: (command, args = [], options = {}) =>
      finish(context.start(command, args, options), command, options.timeoutMs ?? 120_000),
    async succeed(command, args = [], options = {}) {
      const end = await context.run(command, args, options);
      if (end.status === 0) return end;
      const said = (end.stderr || end.stdout.toString()).trim().slice(-400);
      throw new Error(`${command} ended with ${end.signal ?? end.status}: ${said}`);
    },
    log,
  };

  const started = Date.now();
  const controller = new AbortController();
  const limit = program.deadlineMs ?? 600_000;
  const deadline = sleep(limit, undefined, { signal: controller.signal }).then(() => {
    throw new Error(`not done within ${limit / 1000} s`);
  });
  deadline.catch(() => {});
  try {
    const outcome = await Promise.race([program.run(context), deadline]);
    await killMarked(base);
    return { outcome, counters: readCounters(stats), seconds: Math.round((Date.now() - started) / 100) / 10 };
  } finally {
    controller.abort();
    await killMarked(base);
    if (keep) log(`kept ${base}`);
    else rmSync(base, { recursive: true, force: true });
  }
}
