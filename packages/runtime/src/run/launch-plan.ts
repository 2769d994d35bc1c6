// The plan that zio-launch carries out, and the file that hands it over. The format is that of
// packages/interpose/native/launch/plan.h.
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface LaunchPlan {
  /** Becoming the program, or staying as its parent until it ends. */
  mode: "exec" | "supervise";
  path: Buffer;
  arguments: readonly Buffer[];
  environment: readonly Buffer[];
  /** A command for after a supervised program: it gets the pid, "exited" or "killed", and the status or signal added. */
  afterwards: readonly (string | Buffer)[];
}

function list(strings: readonly (string | Buffer)[]): (string | Buffer)[] {
  return [String(strings.length), ...strings];
}

/** The plan as the bytes of its file. */
export function serialisePlan(plan: LaunchPlan): Buffer {
  const strings = [
    "zio-plan",
    "1",
    plan.mode,
    plan.path,
    ...list(plan.arguments),
    ...list(plan.environment),
    ...list(plan.afterwards),
  ];
  return Buffer.concat(strings.flatMap((string) => [Buffer.from(string), Buffer.of(0)]));
}

/** Writes the plan into a new file that only this user can open, which the launcher removes. Returns its path. */
export function writePlan(plan: LaunchPlan): string {
  const bytes = serialisePlan(plan);
  const name = `zio-plan-${randomBytes(12).toString("hex")}`;
  let failure: unknown;
  for (const directory of ["/dev/shm", tmpdir(), process.env.XDG_RUNTIME_DIR ?? "/tmp"]) {
    const path = join(directory, name);
    try {
      writeFileSync(path, bytes, { flag: "wx", mode: 0o600 });
      return path;
    } catch (error) {
      failure = error;
      // A full file system leaves a part behind.
      rmSync(path, { force: true });
    }
  }
  throw failure;
}
