import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../program.js";
import { writeFileOfSeed } from "../stream.js";
import { hashOfTree, makeTree } from "../tree.js";

export const rsync: Program = {
  name: "rsync",
  title: "rsync",
  what: "local, to and from a daemon on loopback, compressed, delta transfer after changes, sparse, in place, deletion; tree hashes",
  debianPackages: ["rsync"],

  async run(context) {
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const source = join(context.directory, "source");
    makeTree(source);
    const module = join(context.directory, "module");
    mkdirSync(module);
    const port = await context.freePort();
    const config = join(context.directory, "rsyncd.conf");
    writeFileSync(
      config,
      `use chroot = no\nlog file = ${module}.log\n[m]\npath = ${module}\nread only = no\nuid = ${process.getuid?.()}\ngid = ${process.getgid?.()}\n`,
    );
    const daemon = context.start("rsync", [
      "--daemon",
      "--no-detach",
      `--port=${port}`,
      "--address=127.0.0.1",
      `--config=${config}`,
    ]);
    await context.untilListening(port);
    const remote = `rsync://127.0.0.1:${port}/m`;
    const copy = async (name: string, args: string[], to: string) => {
      const { status, stderr } = await context.run("rsync", ["-a", ...args]);
      const wanted = hashOfTree(source);
      const got = hashOfTree(to);
      same[name] = `${status} ${stderr}${got}`;
      if (got !== wanted) failed.push(`${name}: the copy equals the source`);
    };
    const at = (name: string) => join(context.directory, name);
    const rounds = async (round: string) => {
      await copy(`${round}: local`, ["--delete", `${source}/`, at("local")], at("local"));
      await copy(
        `${round}: local, delta`,
        ["--delete", "--no-whole-file", "-I", `${source}/`, at("delta")],
        at("delta"),
      );
      await copy(`${round}: up`, ["--delete", `${source}/`, remote], module);
      await copy(`${round}: down`, ["--delete", `${remote}/`, at("down")], at("down"));
      await copy(
        `${round}: down, compressed, checksums`,
        ["--delete", "-zc", `${remote}/`, at("packed")],
        at("packed"),
      );
      await copy(`${round}: sparse`, ["--delete", "-S", `${remote}/`, at("sparse")], at("sparse"));
      await copy(`${round}: in place`, ["--delete", "--inplace", "-I", `${source}/`, remote], module);
    };
    await rounds("new");
    appendFileSync(join(source, "deep/deeper/large"), "the end".repeat(9999));
    writeFileOfSeed(join(source, "file-9"), 1234, 1_900_000);
    writeFileSync(join(source, "file-11"), Buffer.alloc(3_000_000));
    await rounds("changed");
    const { signal, status } = await daemon.stop();
    same["daemon ends"] = `${signal} ${status}`;
    return { checks: 14, failed, same };
  },
};
