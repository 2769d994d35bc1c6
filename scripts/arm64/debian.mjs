// Debian's packages for another architecture, unpacked into a directory. apt keeps lists of its own there, so that nothing
// about this machine changes and nobody has to be root.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Unpacks the packages below `directory` and gives the path of the tree; quick to repeat. */
export function unpackDebian(directory, arch, names) {
  const state = join(directory, "apt");
  const tree = join(directory, "tree");
  for (const folder of ["lists/partial", "cache/archives/partial", "debs"])
    mkdirSync(join(state, folder), { recursive: true });
  const settings = {
    "APT::Architecture": arch,
    "APT::Architectures": arch,
    "APT::Sandbox::User": "root",
    "Dir::State::Lists": join(state, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(state, "cache"),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const run = (command, args) =>
    execFileSync(command, args, { cwd: join(state, "debs"), encoding: "utf8", stdio: "pipe" });
  if (readdirSync(join(state, "lists")).length <= 1) run("apt-get", [...options, "--quiet", "update"]);
  const resolved = names.map((name) => {
    // A package that stands for the newest of a kind, as the kernel's does.
    const [only, ...more] = [...run("apt-cache", [...options, "depends", name]).matchAll(/^ {2}Depends: (\S+)$/gm)];
    return name.startsWith("linux-image-") && only && more.length === 0 ? only[1] : name;
  });
  for (const name of resolved) {
    const isThere = () => readdirSync(join(state, "debs")).find((file) => file.startsWith(`${name}_`));
    if (!isThere()) {
      rmSync(tree, { recursive: true, force: true });
      run("apt-get", [...options, "--quiet", "download", name]);
    }
  }
  if (!existsSync(tree)) {
    for (const file of readdirSync(join(state, "debs"))) run("dpkg-deb", ["-x", file, tree]);
  }
  return tree;
}
