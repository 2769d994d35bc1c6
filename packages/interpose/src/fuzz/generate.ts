// Makes programs from seeds, with operations on named files where that is wanted (generate-files.ts). The weights keep data
// on its way (received, copied on, sent) often enough that most of what is overwritten, moved, freed or forked shows an
// origin at that moment.
import { type FileVerb, fileArguments, fileOpenings, fileWeights, isFileVerb } from "./generate-files.js";
import type { Operation, Program } from "./program.js";
import { Random } from "./random.js";
import { always, type MemoryVerb, weights } from "./weights.js";

const pageBytes = 4096;
const slots = 16;
const sharedSlots = 4; // the last ones

type Verb = MemoryVerb | FileVerb;

/** How many of the slots that were received or copied into last are preferred. */
const hotSlots = 4;

class Generator {
  readonly #random: Random;
  #hot: number[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Often one that something came into lately, which then mostly shows an origin. */
  slot(): number {
    const random = this.#random;
    return this.#hot.length > 0 && random.oneIn(2) ? random.pick(this.#hot) : random.below(slots);
  }

  /** Any slot; it is hot from now on. */
  target(): number {
    const slot = this.#random.below(slots);
    this.#hot = [slot, ...this.#hot.filter((hot) => hot !== slot)].slice(0, hotSlots);
    return slot;
  }

  /** Mostly large, often whole pages, sometimes tiny; -1 is all that there is. */
  length(): number {
    const random = this.#random;
    switch (random.below(10)) {
      case 0:
        return random.between(1, 300);
      case 1:
      case 2:
        return random.between(1, 24) * pageBytes;
      case 3:
        return -1;
      case 4:
      case 5:
        return random.between(16_384, 36_000);
      case 6:
        return random.between(60_000, 200_000);
      default:
        return random.between(4096, 80_000);
    }
  }

  /** Where ranges start: often the beginning, or a page, or just beside one. */
  offset(): number {
    const random = this.#random;
    const page = random.below(20) * pageBytes;
    switch (random.below(6)) {
      case 0:
      case 1:
        return 0;
      case 2:
        return page;
      case 3:
        return Math.max(0, page + random.between(-3, 3));
      case 4:
        return random.below(pageBytes);
      default:
        return random.below(90_000);
    }
  }

  size(): number {
    const random = this.#random;
    const most = random.pick([90_000, 150_000, 300_000]);
    const size = random.oneIn(40)
      ? random.between(300_000, 1 << 20)
      : random.between(random.oneIn(5) ? 1 : 40_000, most);
    return random.oneIn(3) ? Math.ceil(size / pageBytes) * pageBytes : size;
  }

  range(): number[] {
    return [this.slot(), this.offset(), this.length()];
  }

  args(verb: Verb | "shift"): number[] {
    const random = this.#random;
    if (isFileVerb(verb)) return fileArguments(verb, random, this);
    switch (verb) {
      case "recv": {
        const count = random.oneIn(3) ? random.between(1, 100_000) : 1 << 20;
        return [this.target(), this.offset(), this.length(), count, random.below(3), random.below(84)];
      }
      case "recvall":
        return [...this.range(), random.below(2)];
      case "scatter":
      case "gather":
        return [...this.range(), ...this.range(), random.below(3), random.below(36)];
      case "packet":
        return [...this.range(), random.below(98_304), random.below(15)];
      case "empty":
        return [...this.range(), random.below(2), random.below(4)];
      case "pread":
      case "stdio":
      case "pwrite":
        return [...this.range(), random.oneIn(3) ? 0 : random.below(524_288), random.below(24)];
      case "copy": {
        const offset = this.offset();
        const from = this.slot();
        return [from, offset, this.target(), random.oneIn(2) ? offset : this.offset(), this.length(), this.how()];
      }
      case "set":
        return [...this.range(), random.oneIn(2) ? 0 : random.below(256), random.below(6)];
      case "store":
        return [...this.range().slice(0, 2), random.pick([1, 8, 64, 4096, 4096, 12_289]), random.between(1, 20), 1];
      case "load":
        return [...this.range().slice(0, 2), random.pick([1, 512, 4096, -4096, -4096, 20_000]), random.between(1, 20)];
      case "atomic":
        return [this.slot(), this.offset(), random.below(3)];
      case "compare":
        return [this.slot(), this.offset(), ...this.range(), random.below(3)];
      case "send":
        return [...this.range(), random.below(3), random.below(36), random.oneIn(3) ? random.below(6) : 0];
      case "post":
      case "overfill":
        return [...this.range(), random.below(36)];
      case "malloc":
      case "realloc":
        return [this.slot(), this.size(), random.below(50)];
      case "mmap":
        return [this.slot(), this.size(), random.pick([0, 0, 0, 4, 5, 1, 2, 3])];
      case "free":
        return [this.slot(), random.below(3)];
      case "swap":
        return [this.slot(), this.slot()];
      case "madvise":
        return [...this.range(), random.oneIn(3) ? random.below(11) : 0, random.below(3)];
      case "remap":
        return [...this.range(), random.below(3), random.below(2)];
      case "mremap":
        return [this.slot(), this.size(), random.below(3), random.below(3), this.slot()];
      case "protect":
        return [...this.range(), random.below(6), this.offset(), this.offset(), this.length()];
      case "look":
      case "lock":
      case "vfork":
        return this.range();
      case "spawn":
        return [...this.range(), this.slot(), this.offset(), random.below(2)];
      case "cancel":
      case "jump":
        return [...this.range(), random.below(2)];
      case "alarm":
        return [random.oneIn(2) ? 0 : random.pick([1000, 2000, 5000])];
      case "mallopt":
        return [random.below(3), random.pick([32_768, 65_536, 131_072, 1 << 20])];
      case "fork":
        return [random.between(0, 10), random.between(0, 8), random.below(4)];
      case "threads":
        return [random.between(2, 4), random.between(4, 20)];
      default:
        return [];
    }
  }

  /** How to copy: mostly by the hooked functions. */
  how(): number {
    return this.#random.oneIn(3) ? this.#random.below(30) : this.#random.pick([0, 0, 2, 3, 9]);
  }

  /** A copy within a slot whose ranges overlap. */
  shift(): Operation {
    const random = this.#random;
    const by = random.pick([1, 100, 4096, 8192, 5000, 20_000]);
    const [slot, offset, length] = this.range() as [number, number, number];
    const [from, to] = random.oneIn(2) ? [offset, offset + by] : [offset + by, offset];
    return { verb: "copy", args: [slot, from, slot, to, length, random.below(30)] };
  }

  operation(chosen: readonly (readonly [Verb, number])[]): Operation {
    const verb = this.#random.weighted(chosen);
    return verb === "shift" ? this.shift() : { verb, args: this.args(verb) };
  }

  program(operations: number, files: boolean): Program {
    const random = this.#random;
    const made: Operation[] = [];
    if (random.oneIn(3)) made.push({ verb: "mallopt", args: this.args("mallopt") });
    for (let slot = 0; slot < slots; slot++) {
      const verb = random.oneIn(2) ? "malloc" : "mmap";
      made.push({ verb, args: [slot, ...this.args(verb).slice(1)] });
    }
    for (let slot = slots - sharedSlots; slot < slots; slot++)
      made.push({ verb: "recv", args: [slot, 0, -1, 1 << 20, random.below(3), 0] });
    const ofMemory = weights.filter(([verb]) => always.includes(verb) || random.oneIn(2));
    const chosen = files ? [...ofMemory, ...fileWeights(random)] : ofMemory;
    if (files) made.push(...fileOpenings(random));
    while (made.length < operations) made.push(this.operation(chosen));
    if (made.some(({ verb }) => verb === "alarm")) made.push({ verb: "alarm", args: [0] });
    return made;
  }
}

/** The program of a seed: always the same. With `files` it works on named files too. */
export function generateProgram(seed: number, operations: number, files = false): Program {
  return new Generator(new Random(seed)).program(operations, files);
}
