// Operations on named files, which are logged in a pool in some modes. The ways that leave a file to the kernel for as long
// as a process lives come in few programs, because nothing is logged after them.
import type { Operation } from "./program.js";
import type { Random } from "./random.js";

const weights = [
  ["open", 60],
  ["close", 14],
  ["again", 16],
  ["write", 120],
  ["writeat", 90],
  ["read", 50],
  ["readat", 60],
  ["seek", 35],
  ["sync", 20],
  ["status", 40],
  ["resize", 22],
  ["reserve", 10],
  ["times", 8],
  ["rename", 14],
  ["link", 6],
  ["unlink", 8],
  ["child", 14],
  ["run", 6],
  ["crowd", 4],
  ["guard", 10],
  ["guarded", 8],
  ["pour", 12],
] as const;

/** These leave files to the kernel. */
const leaving = [
  ["fill", 6],
  ["range", 6],
  ["mapped", 8],
  ["stream", 6],
] as const;

export type FileVerb = (typeof weights)[number][0] | (typeof leaving)[number][0];

const always: readonly FileVerb[] = ["open", "write", "writeat", "readat", "status"];
const handles = 8;
const names = 6;
const largest = 600_000;

/** What the generator of all operations knows of slots. */
export interface Ranges {
  range(): number[];
  target(): number;
  offset(): number;
  length(): number;
}

const verbs = new Set<string>([...weights, ...leaving].map(([verb]) => verb));

export function isFileVerb(verb: string): verb is FileVerb {
  return verbs.has(verb);
}

/** The verbs of one program: about half of the rest, and seldom those that leave. */
export function fileWeights(random: Random): (readonly [FileVerb, number])[] {
  const some = weights.filter(([verb]) => always.includes(verb) || random.oneIn(2));
  return random.oneIn(4) ? [...some, ...leaving.filter(() => random.oneIn(2))] : some;
}

/** Mostly one of a few, so that operations meet. */
function handle(random: Random): number {
  return random.oneIn(3) ? random.below(handles) : random.below(3);
}

function name(random: Random): number {
  return random.oneIn(3) ? random.below(names) : random.below(2);
}

function position(random: Random): number {
  if (random.oneIn(4)) return random.below(8) * 4096;
  return random.oneIn(4) ? 0 : random.below(largest);
}

/** The bits of an open: see native/fuzz/handle.c. */
function flags(random: Random): number {
  const bit = (value: number, n: number) => (random.oneIn(n) ? value : 0);
  const creates = random.oneIn(8) ? 0 : 4;
  return random.below(4) + creates + bit(8, 3) + bit(16, 6) + bit(32, 30) + bit(64, 12) + bit(128, 12) + bit(256, 3);
}

/** The first operations: something is open. */
export function fileOpenings(random: Random): Operation[] {
  return [0, 1, 2, 3].map((at) => ({
    verb: "open",
    args: [at, at === 3 ? 0 : at, 4 + (at === 1 ? 8 : 0), random.below(4)],
  }));
}

export function fileArguments(verb: FileVerb, random: Random, ranges: Ranges): number[] {
  switch (verb) {
    case "open":
      return [handle(random), name(random), flags(random) + (random.oneIn(60) ? 512 : 0), random.below(20)];
    case "close":
      return [handle(random), random.below(12)];
    case "again":
      return [handle(random), handle(random), random.below(6)];
    case "write":
      return [handle(random), ...ranges.range(), random.below(24)];
    case "writeat":
      return [handle(random), ...ranges.range(), position(random), random.below(24)];
    case "read":
      return [handle(random), ranges.target(), ranges.offset(), ranges.length(), random.below(18)];
    case "readat":
      return [handle(random), ranges.target(), ranges.offset(), ranges.length(), position(random), random.below(18)];
    case "seek":
      return [handle(random), random.oneIn(3) ? -random.below(100_000) : position(random), random.below(5)];
    case "sync":
      return [handle(random), random.below(4)];
    case "status":
      return [handle(random), name(random), random.below(28)];
    case "resize":
      return [handle(random), name(random), random.oneIn(3) ? 0 : position(random), random.below(8)];
    case "reserve":
      return [handle(random), position(random), random.below(200_000), random.below(5)];
    case "times":
      return [handle(random), name(random), random.below(900_000), random.below(2)];
    case "rename":
    case "link":
      return [name(random), name(random), random.below(6)];
    case "unlink":
      return [name(random), random.below(3)];
    case "child":
      return [random.between(1, 12), random.below(4), random.below(4)];
    case "run":
      return [handle(random), name(random), random.below(6)];
    case "crowd":
      return [name(random), random.below(4), random.below(12)];
    case "guard":
      return [handle(random), random.below(300), random.below(300), random.below(3)];
    case "guarded":
      return [handle(random)];
    case "pour":
    case "fill":
      return [handle(random), position(random), random.below(60_000), random.below(4)];
    case "range":
      return [handle(random), position(random), handle(random), position(random), random.below(60_000)];
    case "mapped":
      return [handle(random), random.below(100), random.below(60_000), random.below(3)];
    case "stream":
      return [name(random), ...ranges.range(), random.below(6)];
  }
}
