// The modules of a kernel that was unpacked from Debian's package: which files a set of names needs, in the order in which
// they can be inserted. Reads what the modules say about themselves, so that no depmod is needed.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

const nameOf = (path) => basename(path, ".ko").replaceAll("-", "_");

/** Paths of the modules and of what they depend on; names that are built into the kernel are left out. */
export function modulesFor(tree, names) {
  const modules = join(tree, "lib/modules");
  const [release] = readdirSync(modules);
  const directory = join(modules, release);
  const files = new Map();
  for (const entry of readdirSync(directory, { recursive: true }))
    if (entry.endsWith(".ko")) files.set(nameOf(entry), join(directory, entry));
  const ordered = new Set();
  const add = (name) => {
    const path = files.get(name);
    if (!path || ordered.has(path)) return;
    const [, depends] = /(?:^|\0)depends=([^\0]*)\0/.exec(readFileSync(path, "latin1")) ?? [];
    for (const other of (depends ?? "").split(",")) add(other.replaceAll("-", "_"));
    ordered.add(path);
  };
  for (const name of names) add(name);
  return [...ordered];
}
