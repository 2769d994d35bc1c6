// An unmodified git, both ends of it, over the git protocol on the loopback.

import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type App, type AppSession, describeApp } from "./app-session.js";
import { contentOf, expectSame } from "./content.js";
import { freePort } from "./free-port.js";

const mebibyte = 1 << 20;
const evidence = { redirectedBytes: 4 * mebibyte };

const env = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "zio",
  GIT_AUTHOR_EMAIL: "zio@localhost",
  GIT_COMMITTER_NAME: "zio",
  GIT_COMMITTER_EMAIL: "zio@localhost",
  // Neither compression nor deltas, which cost time and keep the bytes from being moved as they are.
  GIT_CONFIG_COUNT: "2",
  GIT_CONFIG_KEY_0: "core.compression",
  GIT_CONFIG_VALUE_0: "0",
  GIT_CONFIG_KEY_1: "pack.window",
  GIT_CONFIG_VALUE_1: "0",
};

/** Files that do not compress, so that the pack is as large as they are, and text that does. */
function writeFiles(directory: string, generation: number): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [index, bytes] of [64 << 10, 300_000, mebibyte, 3 * mebibyte + 17, 8 * mebibyte].entries())
    files.set(`blob-${index}`, contentOf(generation * 100 + index, bytes));
  for (let index = 0; index < 60; index++)
    files.set(`text-${index}`, Buffer.from(`line ${index} of generation ${generation}\n`.repeat(400 + index)));
  for (const [name, content] of files) writeFileSync(join(directory, name), content);
  return files;
}

async function waitUntilListening(port: number, daemon: App): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (!daemon.isRunning) throw new Error("git-daemon ended while it started", { cause: error });
      await sleep(30);
    } finally {
      socket.destroy();
    }
  }
}

/** git-daemon itself and not `git daemon`, which would run it as a child of its own. */
async function startDaemon(session: AppSession, base: string): Promise<{ url: string; daemon: App }> {
  const port = await freePort();
  const places = await session.run("git", ["--exec-path"], { plain: true });
  const args = [`--port=${port}`, "--listen=127.0.0.1", "--reuseaddr", "--export-all", "--enable=receive-pack"];
  const path = join(places.toString().trim(), "git-daemon");
  const daemon = session.start(path, [...args, `--base-path=${base}`, base], { env });
  await waitUntilListening(port, daemon);
  return { url: `git://127.0.0.1:${port}`, daemon };
}

describeApp("git clones, fetches and pushes over a local daemon", { programs: ["git"], evidence }, async (session) => {
  const base = join(session.directory, "served");
  const source = join(session.directory, "source");
  const clone = join(session.directory, "clone");
  mkdirSync(base);
  mkdirSync(source);
  const plainGit = async (cwd: string, ...args: string[]) =>
    (await session.run("git", args, { env, cwd, plain: true })).toString().trim();
  const git = async (cwd: string, ...args: string[]) =>
    (await session.run("git", args, { env, cwd })).toString().trim();
  const sameTree = async (left: string, right: string) => {
    const [one, two] = [
      await plainGit(left, "rev-parse", "HEAD^{tree}"),
      await plainGit(right, "rev-parse", "HEAD^{tree}"),
    ];
    if (one !== two) throw new Error(`tree ${one} of ${left} is not tree ${two} of ${right}`);
  };
  const commit = async (cwd: string, run: typeof git, generation: number) => {
    const files = writeFiles(cwd, generation);
    await run(cwd, "add", "-A");
    await run(cwd, "commit", "-q", "-m", `generation ${generation}`);
    return files;
  };

  await plainGit(source, "init", "-q", "-b", "main");
  const first = await commit(source, plainGit, 1);
  await plainGit(session.directory, "clone", "-q", "--bare", source, join(base, "repository.git"));
  const { url, daemon } = await startDaemon(session, base);

  await git(session.directory, "clone", "-q", `${url}/repository.git`, clone);
  await plainGit(clone, "fsck", "--full", "--strict");
  await sameTree(source, clone);
  for (const [name, content] of first) expectSame(readFileSync(join(clone, name)), content, `${name} of the clone`);

  await commit(clone, git, 2);
  await git(clone, "push", "-q", "origin", "main");
  const bare = join(base, "repository.git");
  await plainGit(bare, "fsck", "--full", "--strict");
  await sameTree(bare, clone);

  await git(source, "pull", "-q", `${url}/repository.git`, "main");
  await plainGit(source, "fsck", "--full", "--strict");
  await sameTree(source, clone);
  await git(source, "gc", "-q");
  await plainGit(source, "fsck", "--full", "--strict");
  await daemon.stop("SIGTERM");
});
