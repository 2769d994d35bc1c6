// The two ways in which the demo runs a program, and what it notes of each.
import { rmSync } from "node:fs";
import { environment, type Settings } from "@zio/interpose";
import { makeRunDirectory } from "../stats/directory.js";
import { type RunRecord, readRunRecord } from "../stats/record.js";
import { atExit } from "./at-exit.js";

export type Way = "plain" | "zio";

export interface Measurement {
  messages: number;
  bytes: number;
  wallMs: number;
  /** Of the server, with all its threads. */
  cpuMs: number;
}

export interface Sample extends Measurement {
  way: Way;
  /** The counters of zIO; undefined in a plain run. */
  counters: RunRecord | undefined;
}

function plainEnvironment(): NodeJS.ProcessEnv {
  const others = Object.entries(process.env).filter(([name]) => name !== "LD_PRELOAD" && !name.startsWith("ZIO_"));
  return Object.fromEntries(others);
}

/** Measures a program, which `measure` starts in the environment it is given, one way. */
export async function sampleOf(
  way: Way,
  settings: Settings,
  measure: (env: NodeJS.ProcessEnv) => Promise<Measurement>,
): Promise<Sample> {
  const plain = plainEnvironment();
  if (way === "plain") return { way, ...(await measure(plain)), counters: undefined };
  const statsDirectory = makeRunDirectory();
  const remove = () => rmSync(statsDirectory, { recursive: true, force: true });
  const forget = atExit(remove);
  try {
    const env = { ...plain, ...environment({ ...settings, base: {}, statsDirectory }) };
    return { way, ...(await measure(env)), counters: readRunRecord(statsDirectory) };
  } finally {
    remove();
    forget();
  }
}
