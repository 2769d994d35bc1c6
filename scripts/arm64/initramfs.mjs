// An archive of files for the kernel to unpack at its start: cpio, "newc".
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { gzipSync } from "node:zlib";

const types = { directory: 0o040000, file: 0o100000, link: 0o120000 };

export class Initramfs {
  #parts = [];
  #directories = new Set();

  #entry(name, mode, content) {
    const path = Buffer.from(`${name}\0`);
    const numbers = [this.#parts.length + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, path.length, 0];
    const header = Buffer.from(`070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}`);
    const padded = (bytes, before) => Buffer.concat([bytes, Buffer.alloc(-(before + bytes.length) & 3)]);
    this.#parts.push(Buffer.concat([header, padded(path, header.length), padded(content, 0)]));
  }

  directory(name) {
    if (name === "" || this.#directories.has(name)) return;
    this.directory(name.slice(0, Math.max(0, name.lastIndexOf("/"))));
    this.#directories.add(name);
    this.#entry(name, types.directory | 0o755, Buffer.alloc(0));
  }

  /** A file or a symbolic link as it lies at `source`, or a file with this text. */
  file(name, source) {
    this.directory(name.slice(0, Math.max(0, name.lastIndexOf("/"))));
    if (typeof source !== "string") return this.#entry(name, types.file | 0o755, source);
    if (lstatSync(source).isSymbolicLink()) return this.link(name, readlinkSync(source));
    this.#entry(name, types.file | 0o755, readFileSync(source));
  }

  link(name, target) {
    this.directory(name.slice(0, Math.max(0, name.lastIndexOf("/"))));
    this.#entry(name, types.link | 0o777, Buffer.from(target));
  }

  bytes() {
    this.#entry("TRAILER!!!", 0, Buffer.alloc(0));
    return gzipSync(Buffer.concat(this.#parts), { level: 1 });
  }
}
