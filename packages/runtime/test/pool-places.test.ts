// Where a pool cannot be: on a file system that keeps no locks of mapped files, and where its package is not installed.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { zioPath } from "./support/run-zio.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-places-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const words = ["run", "--nvm", "pool", "--nvm-size", "16M", "--nvm-file", "*.log", "--", "echo", "ran"];

/** Namespaces in which this user may mount. */
const namespaces = process.geteuid?.() === 0 ? ["-m"] : ["-Urm"];

test("an overlay is refused with its reason, and the program does not start", async (context) => {
  for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(join(directory, name));
  const mount = "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged";
  const tried = spawnSync("unshare", [...namespaces, "sh", "-c", mount], { cwd: directory, encoding: "utf8" });
  if (tried.status !== 0) return context.skip(`no overlay can be mounted: ${(tried.stderr ?? tried.error).trim()}`);
  const script = `${mount} && cd merged && exec "$0" "$@"`;
  const { status, stdout, stderr } = await runProgram(
    "unshare",
    [...namespaces, "sh", "-c", script, zioPath, ...words],
    {
      cwd: directory,
    },
  );
  expect({ status, stdout: stdout.toString() }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toBe(
    `zio: cannot use the pool ${join(directory, "merged/pool")}: this file system cannot hold a pool; it cannot allocate ` +
      "space ahead, or keeps no locks of mapped files (overlay); use ext4, XFS or tmpfs\n",
  );
  expect(readdirSync(join(directory, "upper"))).toEqual([]);
});

test("without @zio/nvm one line says what to install, and the program does not start", async () => {
  const source = join(import.meta.dirname, "..");
  const modules = join(directory, "node_modules");
  const runtime = join(modules, "@zio/runtime");
  for (const name of ["bin", "dist", "package.json"])
    cpSync(join(source, name), join(runtime, name), { recursive: true });
  const installed = join(source, "node_modules");
  for (const name of readdirSync(installed)) {
    const names = name.startsWith("@") ? readdirSync(join(installed, name)).map((part) => `${name}/${part}`) : [name];
    for (const full of names) {
      mkdirSync(join(modules, full, ".."), { recursive: true });
      symlinkSync(join(installed, full), join(modules, full));
    }
  }
  const run = (args: string[]) => runProgram(join(runtime, "bin/zio"), args, { cwd: directory });
  const { status, stdout, stderr } = await run(words);
  expect({ status, stdout: stdout.toString(), stderr }).toEqual({
    status: 2,
    stdout: "",
    stderr: "zio: pools come with @zio/nvm, which is not installed: npm install @zio/nvm\n",
  });
  expect(existsSync(join(directory, "pool"))).toBe(false);
  // The same copy runs everything else.
  expect((await run(["run", "--", "echo", "ran"])).stdout.toString()).toBe("ran\n");
});
