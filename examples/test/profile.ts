// Runs programs under the seccomp profile of the examples, as a container engine does: its rules go to libseccomp.
import { type SpawnSyncOptions, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compileC } from "@zio/test-support";

interface Rule {
  names: string[];
  action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  errnoRet?: number;
  args?: { index: number; op: string; value: number; valueTwo?: number }[];
}

export interface Profile {
  defaultAction: string;
  defaultErrnoRet: number;
  architectures: string[];
  syscalls: Rule[];
}

export const examples = join(import.meta.dirname, "..");
export const profile = JSON.parse(readFileSync(join(examples, "seccomp/zio.json"), "utf8")) as Profile;

/** Why no profile can be loaded here, or undefined. */
export const profileProblem = existsSync("/usr/include/seccomp.h") ? undefined : "libseccomp-dev is not installed";

/** The profile as the lines that with_profile.c reads, without the system calls named. */
function rules(without: string[]): string {
  const lines = [`default ${profile.defaultErrnoRet}`];
  for (const name of profile.architectures) lines.push(`arch ${name.replace("SCMP_ARCH_", "").toLowerCase()}`);
  for (const { names, action, errnoRet, args = [] } of profile.syscalls) {
    const words = action === "SCMP_ACT_ALLOW" ? "allow" : `errno ${errnoRet}`;
    const conditions = args.map(({ index, op, value, valueTwo = 0 }) => ` ${index} ${op} ${value} ${valueTwo}`);
    for (const name of names.filter((each) => !without.includes(each)))
      lines.push(`${words} ${name}${conditions.join("")}`);
  }
  return `${lines.join("\n")}\n`;
}

export interface UnderProfile extends Pick<SpawnSyncOptions, "env" | "cwd"> {
  /** System calls that are taken out of it. */
  without?: string[];
  /** Words that come before, such as an `unshare` with mounts. */
  by?: string[];
}

/** Runs a command under the profile, with nothing on standard input. */
export async function runUnderProfile(command: string[], { without = [], by = [], ...options }: UnderProfile = {}) {
  const loader = await compileC({ sources: [join(examples, "test/programs/with_profile.c")], libs: ["seccomp"] });
  const [program = "", ...words] = [...by, loader, ...command];
  const limits = { input: rules(without), timeout: 60_000, killSignal: "SIGKILL" as const, maxBuffer: 1 << 26 };
  const { status, stdout, stderr, error } = spawnSync(program, words, { ...limits, ...options });
  if (error) throw error;
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}
