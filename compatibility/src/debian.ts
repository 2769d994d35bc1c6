// Debian packages: which are installed, installing them, and unpacking source packages into a cache outside the checkout.
// The machine's own lists of sources are left as they are: source packages are found through a copy of them.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const cacheDirectory = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "zio-compatibility");

function run(command: string, args: string[], cwd?: string): string {
  const child = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
  });
  if (child.status === 0) return child.stdout;
  const said = (child.stderr ?? child.error?.message ?? "").trim().split("\n").at(-1);
  throw new Error(`${command} ${args.at(-1)} failed: ${said}`);
}

/** The version of an installed package without Debian's epoch and revision; undefined where it is not installed. */
export function installedVersion(debianPackage: string): string | undefined {
  const format = "$" + "{db:Status-Status} $" + "{Version}";
  const child = spawnSync("dpkg-query", ["-W", "-f", format, debianPackage], { encoding: "utf8" });
  const [status, version] = (child.stdout ?? "").split(" ");
  return status === "installed" ? version : undefined;
}

/** `5:7.0.15-1~deb12u3` is 7.0.15. */
export function upstreamVersion(version: string): string {
  return version
    .replace(/^\d+:/, "")
    .replace(/-[^-]*$/, "")
    .replace(/[+~](dfsg|ds|deb).*$/, "");
}

export function missingPackages(debianPackages: readonly string[]): string[] {
  return debianPackages.filter((name) => installedVersion(name) === undefined);
}

/** Installs packages without starting their services. Needs root. */
export function installPackages(debianPackages: readonly string[]): void {
  const policy = "/usr/sbin/policy-rc.d";
  const added = !existsSync(policy);
  if (added) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    const options = ["-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends"];
    try {
      run("apt-get", [...options, "install", ...debianPackages]);
    } catch {
      run("apt-get", ["-qq", "update"]);
      run("apt-get", [...options, "install", ...debianPackages]);
    }
  } finally {
    if (added) rmSync(policy, { force: true });
  }
}

function sourceOptions(): string[] {
  const directory = join(cacheDirectory, "apt");
  const lists = join(directory, "lists");
  const options = ["-o", `Dir::Etc::sourceparts=${join(directory, "sources.d")}`, "-o", "Dir::Etc::sourcelist=-"];
  options.push("-o", `Dir::State::lists=${lists}`);
  if (existsSync(join(directory, "updated"))) return options;
  mkdirSync(join(lists, "partial"), { recursive: true });
  mkdirSync(join(directory, "sources.d"), { recursive: true });
  for (const name of existsSync("/etc/apt/sources.list") ? ["/etc/apt/sources.list"] : []) {
    const text = readFileSync(name, "utf8").replace(/^deb /gm, "deb-src ");
    writeFileSync(join(directory, "sources.d/main.list"), text);
  }
  for (const name of readdirSync("/etc/apt/sources.list.d").filter((name) => /^(debian|ubuntu)\.sources$/.test(name))) {
    const text = readFileSync(join("/etc/apt/sources.list.d", name), "utf8").replace(/^Types:.*$/gm, "Types: deb-src");
    writeFileSync(join(directory, "sources.d", name), text);
  }
  run("apt-get", ["-qq", ...options, "update"]);
  writeFileSync(join(directory, "updated"), "");
  return options;
}

/** Where the source package is unpacked. */
export function sourceDirectory(debianSource: string): string {
  return join(cacheDirectory, "sources", debianSource);
}

/** Gets and unpacks a source package unless it is there. Needs no root, but dpkg-dev. */
export function getSource(debianSource: string): void {
  const directory = sourceDirectory(debianSource);
  if (existsSync(directory)) return;
  const scratch = `${directory}.${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  try {
    const options = ["-qq", ...sourceOptions(), "-o", "APT::Sandbox::User=root", "source"];
    try {
      run("apt-get", [...options, debianSource], scratch);
    } catch {
      // A mirror may lack Debian's part; the tests are in the other.
      run("apt-get", [...options, "--tar-only", debianSource], scratch);
      const archive = readdirSync(scratch).find((name) => name.includes(".orig.tar."));
      run("tar", ["-xf", archive ?? ""], scratch);
    }
    const unpacked = readdirSync(scratch, { withFileTypes: true }).find((entry) => entry.isDirectory());
    if (!unpacked) throw new Error(`the source package ${debianSource} has no directory`);
    renameSync(join(scratch, unpacked.name), directory);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
