// Parsers for the options of the commands; a bad value ends in commander's one line.
import { InvalidArgumentError } from "commander";
import type { CpuPair } from "./machine.js";

const units = { "": 0, K: 10, M: 20, G: 30 } as const;

/** A whole number of at least `least`. */
function whole(text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(`A whole number of at least ${least} is needed.`);
  return value;
}

export function wholeOption(text: string): number {
  return whole(text, 1);
}

/** Numbers separated by commas. */
export function naturalsOption(text: string): number[] {
  return text.split(",").map((part) => whole(part.trim(), 0));
}

/** Bytes with K, M or G (binary). */
export function sizeOption(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  if (!match) throw new InvalidArgumentError("A size such as 512K is needed.");
  return whole(match[1]!, 1) * 2 ** units[match[2] as keyof typeof units];
}

/** Sizes separated by commas. */
export function sizesOption(text: string): number[] {
  return text.split(",").map((part) => sizeOption(part.trim()));
}

export function cpuPairOption(text: string): CpuPair {
  const [server, client, ...rest] = naturalsOption(text);
  if (server === undefined || client === undefined || rest.length > 0)
    throw new InvalidArgumentError("Two numbers are needed, such as 1,0.");
  return { server, client };
}

export function oneOfOption<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw new InvalidArgumentError(`One of ${choices.join(", ")} is needed.`);
    return choice;
  };
}

/** Some of the choices, separated by commas. */
export function wordsOption<Choice extends string>(choices: readonly Choice[]): (text: string) => Choice[] {
  const one = oneOfOption(choices);
  return (text) => text.split(",").map((part) => one(part.trim()));
}
