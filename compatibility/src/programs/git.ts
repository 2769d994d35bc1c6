import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../program.js";
import { bytesOfSeed, sha256, writeFileOfSeed } from "../stream.js";
import { hashOfTree } from "../tree.js";

export const git: Program = {
  name: "git",
  title: "git",
  what: "commits of large files, repack, fsck, clone and fetch by file, git:// daemon, bundle and archive; identifiers and tree hashes",
  debianPackages: ["git"],

  async run(context) {
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const at = (name: string) => join(context.directory, name);
    writeFileSync(
      at(".gitconfig"),
      "[user]\nname = a\nemail = a@example.org\n[init]\ndefaultBranch = main\n[pack]\nthreads = 2\n[gc]\nauto = 0\n[safe]\ndirectory = *\n",
    );
    const date = "2026-01-01T00:00:00Z";
    const env = { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date, GIT_CONFIG_NOSYSTEM: "1" };
    const run = async (name: string, args: string[], directory = "repository") => {
      const end = await context.run("git", ["-C", at(directory), ...args], { env });
      const text = end.stdout.length > 2000 ? sha256(end.stdout) : end.stdout.toString();
      same[name] = `${end.status} ${text.replaceAll(context.directory, "")}`;
      if (end.status !== 0)
        failed.push(`${name} succeeds: ${end.stderr.replaceAll(context.directory, "").slice(-200)}`);
    };
    mkdirSync(at("repository"));
    await run("init", ["init", "-q"]);
    for (let revision = 0; revision < 8; revision++) {
      const file = (name: string) => join(at("repository"), name);
      writeFileOfSeed(file("large"), revision >> 1, 4_000_003 + revision);
      for (let i = 0; i < 40; i++) writeFileSync(file(`text-${i}`), `${i} ${revision}\n`.repeat(i * 200));
      const text = bytesOfSeed(revision, 600_000).toString("base64");
      writeFileSync(file("lines"), text.replaceAll(/.{70}/g, "$&\n"));
      await run(`add ${revision}`, ["add", "-A"]);
      await run(`commit ${revision}`, ["commit", "-q", "-m", `revision ${revision}`]);
      await run(`identifier ${revision}`, ["rev-parse", "HEAD", "HEAD^{tree}"]);
    }
    await run("diff", ["diff", "--stat", "HEAD~7"]);
    await run("log", ["log", "-p", "--binary"]);
    await run("repack", ["repack", "-adfq", "--depth=20", "--window=5"]);
    await run("fsck", ["fsck", "--full", "--strict", "--no-progress"]);
    await run("verify", ["verify-pack", "-s", ...(await packs(context, at("repository")))]);
    await run("archive", ["archive", "--format=tar", "HEAD~3"]);
    await run("bundle", ["bundle", "create", "-q", at("bundle"), "--all"]);

    const port = await context.freePort();
    const daemon = context.start(
      "git",
      [
        "daemon",
        "--reuseaddr",
        "--listen=127.0.0.1",
        `--port=${port}`,
        "--export-all",
        "--enable=receive-pack",
        `--base-path=${context.directory}`,
      ],
      { env },
    );
    await context.untilListening(port);
    const wanted = hashOfTreeOfWork(at("repository"));
    const sources = {
      file: `file://${at("repository")}`,
      daemon: `git://127.0.0.1:${port}/repository`,
      bundle: at("bundle"),
    };
    for (const [name, url] of Object.entries(sources)) {
      await run(`clone by ${name}`, ["clone", "-q", "-b", "main", url, at(`clone-${name}`)], ".");
      await run(`fsck of the clone by ${name}`, ["fsck", "--full", "--no-progress"], `clone-${name}`);
      await run(`identifier by ${name}`, ["rev-parse", "HEAD"], `clone-${name}`);
      if (hashOfTreeOfWork(at(`clone-${name}`)) !== wanted) failed.push(`clone by ${name}: the files are equal`);
    }
    await run("bare clone", ["clone", "-q", "--bare", sources.file, at("bare.git")], ".");
    writeFileOfSeed(join(at("clone-daemon"), "pushed"), 77, 6_000_001);
    await run("add in the clone", ["add", "-A"], "clone-daemon");
    await run("commit in the clone", ["commit", "-q", "-m", "pushed"], "clone-daemon");
    await run("push", ["push", "-q", `git://127.0.0.1:${port}/bare.git`, "main"], "clone-daemon");
    await run("fsck after the push", ["fsck", "--full", "--no-progress"], "bare.git");
    await run("identifier after the push", ["rev-parse", "main"], "bare.git");
    await run("fetch", ["fetch", "-q", `git://127.0.0.1:${port}/bare.git`, "main"]);
    await run("fetched", ["rev-parse", "FETCH_HEAD"]);
    await daemon.stop();
    return { checks: 3, failed, same };
  },
};

async function packs(context: Parameters<Program["run"]>[0], repository: string): Promise<string[]> {
  const { stdout } = await context.run("find", [`${repository}/.git/objects/pack`, "-name", "*.idx"], { plain: true });
  return stdout.toString().trim().split("\n");
}

/** The files of a work tree without git's own. */
function hashOfTreeOfWork(directory: string): string {
  return hashOfTree(directory, (path) => !path.includes("/.git/"));
}
