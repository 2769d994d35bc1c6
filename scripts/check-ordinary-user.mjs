// As root: copies the checkout's files for a new ordinary user with an empty home, and runs `npm run demo` and `npm test`
// there. Everything that is made is removed again.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyCheckout } from "./copy-checkout.mjs";

const progress = (text) => process.stderr.write(`zio: ordinary user: ${text}\n`);

function run(command, args) {
  const child = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] });
  if (child.status === 0) return child.stdout;
  process.stderr.write(`${child.stdout ?? ""}${child.stderr ?? ""}`);
  throw new Error(`${[command, ...args].join(" ")} failed`);
}

if (process.getuid() !== 0) {
  progress("nothing to do: this user is one");
} else {
  const user = `zio-check-${process.pid}`;
  const base = mkdtempSync(join(tmpdir(), "zio-ordinary-user-"));
  try {
    chmodSync(base, 0o755);
    run("useradd", ["--create-home", "--home-dir", join(base, "home"), "--shell", "/bin/sh", user]);
    const copy = join(base, "home/zio");
    copyCheckout(copy);
    run("chown", ["-R", `${user}:`, copy]);
    const asUser = (command) =>
      run("su", [
        user,
        "-s",
        "/bin/sh",
        "-c",
        `cd "$0" && PATH=$1 && export PATH && ${command}`,
        copy,
        process.env.PATH,
      ]);
    asUser("npm run --silent demo");
    progress("npm run demo passed");
    progress(asUser("npm test --silent").trimEnd().split("\n").at(-1));
  } catch (error) {
    progress(error.message);
    process.exitCode = 1;
  } finally {
    spawnSync("userdel", [user]);
    rmSync(base, { recursive: true, force: true });
  }
}
