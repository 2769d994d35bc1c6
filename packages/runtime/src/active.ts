// Whether this process itself runs under zIO, and how it comes to.
import { readFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { platformProblem, ZioError } from "@zio/core";
import { capabilities } from "@zio/fault-handler";
import { activeAbiVersion, replaceProcess, type Settings } from "@zio/interpose";
import { addressSpaceProblem } from "./doctor/machine-checks.js";
import { environment } from "./environment.js";
import { ownPage } from "./stats/live-processes.js";

/** Tells the program that took this one's place not to do so again. */
const marker = "ZIO_ENSURED";
/** What Node takes out of its own environment, and a program in its place needs to take its place. */
const channelVariables = ["NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE", "NODE_UNIQUE_ID"];

/**
 * Whether the copies of this process are elided: libzio.so is loaded, was not told to do nothing, and could begin to work
 * now if it has not begun.
 */
export function isActive(): boolean {
  if (activeAbiVersion() === null || process.env.ZIO_POLICY === "off") return false;
  const state = ownPage()?.state ?? "idle";
  if (state !== "idle") return state === "active";
  return capabilities().available && !addressSpaceProblem();
}

/** What `ensureActive` came to. */
export type Activation = { active: true } | { active: false; reason: string };

function reasonAgainst(isSecondStart: boolean): string | undefined {
  const platform = platformProblem();
  if (platform) return `${platform.reason}; ${platform.fix}`;
  const found = capabilities();
  if (!found.available) return `userfaultfd is not available: ${found.reason}; ${found.fix}`;
  const limit = addressSpaceProblem();
  if (limit) return `${limit.reason}; ${limit.fix}`;
  if (activeAbiVersion() !== null) return "libzio.so is loaded and does nothing (ZIO_POLICY=off, or see zio stats)";
  if (isSecondStart) return "this program was started again under zIO once, and libzio.so is not loaded";
  const hasFile = process.argv[1] !== undefined && process.argv[1] !== "-";
  const hasScript = hasFile || process.execArgv.some((word) => /^(-[ep]+|--eval|--print)/.test(word));
  return hasScript ? undefined : "the program came from standard input, which cannot be read again";
}

/** Variables that this process was started with and Node removed from `process.env`. */
function channel(): { variables: Record<string, string>; descriptors: number[] } {
  const entries = readFileSync("/proc/self/environ", "utf8").split("\0");
  const variables: Record<string, string> = {};
  for (const name of channelVariables) {
    const value = entries.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
    if (value !== undefined) variables[name] = value;
  }
  const descriptor = process.connected ? Number(variables.NODE_CHANNEL_FD) : Number.NaN;
  if (!Number.isInteger(descriptor)) return { variables: {}, descriptors: [] };
  return { variables, descriptors: [descriptor] };
}

/**
 * Starts this Node program again from its beginning under zIO, where it does not run under zIO already: as the same
 * process, with the same argv, execArgv, standard input and output, environment and IPC channel. Call it first, before
 * anything was done that should not be done twice: it does not return then. Where zIO cannot work, or the program was
 * started again before, it returns the reason and the program goes on. Throws a ZioError for a wrong setting and in a worker
 * thread.
 */
export function ensureActive(settings: Settings = {}): Activation {
  const isSecondStart = process.env[marker] === "yes";
  delete process.env[marker]; // it is not for the programs that this one starts
  if (isActive()) return { active: true };
  if (!isMainThread) throw new ZioError("ensureActive must be called in the main thread", { code: "NOT_MAIN_THREAD" });
  const reason = reasonAgainst(isSecondStart);
  if (reason !== undefined) return { active: false, reason };
  const added = environment(settings);
  const { variables, descriptors } = channel();
  replaceProcess({
    path: process.execPath,
    words: [process.argv0, ...process.execArgv, ...process.argv.slice(1)],
    environment: { ...process.env, ...added, ...variables, [marker]: "yes" },
    // Node lets no descriptor through by itself, not even these.
    keptDescriptors: [0, 1, 2, ...descriptors],
  });
}
