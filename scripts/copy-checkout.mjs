// Copies the files of the checkout, uncommitted ones too, without what .gitignore names.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./environment.mjs";

export function copyCheckout(destination) {
  const listing = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  for (const file of new Set(listing.split("\0").filter(Boolean))) {
    // Listed, but deleted in the working tree.
    if (!existsSync(join(root, file))) continue;
    mkdirSync(dirname(join(destination, file)), { recursive: true });
    cpSync(join(root, file), join(destination, file), { verbatimSymlinks: true });
  }
}
