// One emulated machine with a persistent memory module and a disk, whose power can be cut. What QEMU's processor has stored
// lies in the two files and stays; what its kernel only had in memory is gone.
import { spawn } from "node:child_process";
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const megabyte = 1 << 20;
const moduleBytes = 256 * megabyte;
const diskBytes = 512 * megabyte;

export class Machine {
  #directory;
  #child;
  #closed;
  #waiting = new Set();
  lines = [];

  constructor(directory) {
    this.#directory = directory;
    for (const [name, bytes] of [
      ["memory", moduleBytes],
      ["disk", diskBytes],
    ]) {
      const descriptor = openSync(join(directory, name), "wx");
      ftruncateSync(descriptor, bytes);
      closeSync(descriptor);
    }
  }

  /** Turns it on. `words` go to its init through the kernel's command line. */
  start(kernel, initramfs, words) {
    const file = (name) => join(this.#directory, name);
    const memory = `memory-backend-file,id=module,share=on,mem-path=${file("memory")},size=${moduleBytes}`;
    const hardware = [
      ...["-machine", "pc,nvdimm=on", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
      ...["-m", "768M,slots=2,maxmem=4G", "-object", memory, "-device", "nvdimm,id=nvdimm0,memdev=module"],
      ...["-drive", `file=${file("disk")},format=raw,if=virtio,cache=writeback`],
      ...["-nographic", "-nic", "none", "-no-reboot"],
    ];
    const append = `console=ttyS0 quiet panic=-1 no_timer_check ${words}`;
    this.#child = spawn(
      "qemu-system-x86_64",
      [...hardware, "-kernel", kernel, "-initrd", initramfs, "-append", append],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    this.lines = [];
    const reader = createInterface({ input: this.#child.stdout });
    // A line counts with its end, a full stop: the power may go in the middle of one.
    reader.on("line", (line) => {
      const text = line.trimEnd();
      if (text.startsWith("zio-") && !text.endsWith(" .")) return;
      this.lines.push(text.replace(/ \.$/, ""));
      for (const look of this.#waiting) look();
    });
    this.#closed = new Promise((resolve) => reader.on("close", resolve)).then(() => {
      this.#child = undefined;
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves at the first line that begins so. Rejects where the machine ends or is not there in time. */
  async until(start, seconds) {
    const found = () => this.lines.find((line) => line.startsWith(start));
    let look;
    const seen = new Promise((resolve) => {
      look = () => (found() !== undefined || !this.#child) && resolve();
    });
    this.#waiting.add(look);
    look();
    await Promise.race([seen, sleep(seconds * 1000, undefined, { ref: false })]);
    this.#waiting.delete(look);
    const line = found();
    if (line !== undefined) return line;
    const end = this.#child ? `did not come within ${seconds} s` : "did not come before the machine ended";
    throw new Error(`'${start}' ${end}:\n${this.lines.slice(-25).join("\n")}`);
  }

  /** Resolves when it has turned itself off. */
  async ended(seconds) {
    await Promise.race([this.#closed, sleep(seconds * 1000, undefined, { ref: false })]);
    if (this.#child) throw new Error(`the machine did not end:\n${this.lines.slice(-25).join("\n")}`);
  }

  /** Cuts the power; the lines that had come are complete afterwards. */
  async cut() {
    this.#child?.kill("SIGKILL");
    await this.#closed;
  }
}
