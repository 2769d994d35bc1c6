// What the machine starts from: busybox and modules of Debian's packages, this machine's tools for file systems, programs of
// the checkout, and the libraries that they all need.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Initramfs } from "../arm64/initramfs.mjs";
import { modulesFor } from "./modules.mjs";

const applets = "cat cp echo grep insmod kill ls mkdir mount mv poweroff rm sed sh sleep sync tail umount uname usleep";
const modules = [
  "crc32c_intel",
  "libcrc32c",
  "ext4",
  "nfit",
  "libnvdimm",
  "nd_btt",
  "nd_pmem",
  "virtio_pci",
  "virtio_blk",
];
const tools = ["ndctl", "mke2fs"];

const whereIs = (tool) =>
  execFileSync("sh", ["-c", `command -v ${tool}`], {
    encoding: "utf8",
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  }).trim();

/** The shared objects that programs need, by the dynamic linker's own account, its own path among them. */
function librariesOf(programs) {
  const output = execFileSync("ldd", programs, { encoding: "utf8" });
  return new Set([...output.matchAll(/(?:=> |^\t)(\/\S+) \(0x/gm)].map(([, path]) => path));
}

/** `programs`: what else is to lie in /opt, name to path. */
export function makeInitramfs(tree, init, programs) {
  const image = new Initramfs();
  for (const name of ["proc", "sys", "dev", "tmp", "run", "modules", "etc"]) image.directory(name);
  image.file("bin/busybox", join(tree, "bin/busybox"));
  for (const name of applets.split(" ")) image.link(`bin/${name}`, "busybox");
  const paths = modulesFor(tree, modules);
  for (const path of paths) image.file(`modules/${basename(path)}`, path);
  image.file("modules/order", Buffer.from(paths.map((path) => `${basename(path)}\n`).join("")));
  const all = Object.entries({
    ...Object.fromEntries(tools.map((tool) => [`bin/${tool}`, whereIs(tool)])),
    ...programs,
  });
  // Contents, not links: where a library lies is told by its name here.
  for (const [name, path] of all) image.file(name, readFileSync(path));
  for (const path of librariesOf(all.map(([, path]) => path))) image.file(path.slice(1), readFileSync(path));
  image.file("etc/mke2fs.conf", readFileSync("/etc/mke2fs.conf"));
  image.file("init", init);
  return image.bytes();
}
