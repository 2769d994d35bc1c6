import { getSystemErrorName } from "node:util";
import { ZioError } from "@zio/core";
import type { NativeFailure, NativeProblem } from "./native-types.js";

/** What can be wrong with a pool or a file under its log. */
export type PoolProblemKind =
  | "SYSTEM"
  | "NOT_A_POOL"
  | "FOREIGN_VERSION"
  | "HEADER_DAMAGED"
  | "TRUNCATED"
  | "SUPERBLOCK_DAMAGED"
  | "SUPERBLOCK_STALE"
  | "RECORD_DAMAGED"
  | "RECORD_INVALID"
  | "DATA_DAMAGED"
  | "FILE_SLOT_DAMAGED"
  | "FILE_CHANGED"
  | "FILE_MISSING"
  | "IN_USE"
  | "NEEDS_RECOVERY"
  | "UNSUITABLE";

/** A ZioError about a pool; its `code` is the kind, or for SYSTEM the name of the errno. */
export class PoolError extends ZioError {
  readonly kind: PoolProblemKind;
  /** Where in the pool; 0 where it is about no place. */
  readonly offset: number;
  /** The pool, or the file that it is about. */
  readonly path: string;

  /** @internal */
  constructor(problem: NativeProblem) {
    const kind = problem.kind as PoolProblemKind;
    const isSystem = kind === "SYSTEM";
    super(describeProblem(problem), {
      code: isSystem ? getSystemErrorName(problem.code) : kind,
      syscall: problem.action || undefined,
      errno: -problem.code,
    });
    this.kind = kind;
    this.offset = problem.offset;
    this.path = problem.path;
  }
}

const placed = new Set([
  "HEADER_DAMAGED",
  "FOREIGN_VERSION",
  "TRUNCATED",
  "SUPERBLOCK_DAMAGED",
  "SUPERBLOCK_STALE",
  "RECORD_DAMAGED",
  "RECORD_INVALID",
  "DATA_DAMAGED",
  "FILE_SLOT_DAMAGED",
]);

const advice: Partial<Record<string, string>> = {
  FILE_CHANGED: "look at it, then `zio nvm recover --accept-changed`, or `--salvage DIRECTORY`",
  FILE_MISSING: "put it back, or let go of it by `zio nvm recover --accept-changed`, or `--salvage DIRECTORY`",
  RECORD_DAMAGED: "`zio nvm recover --salvage DIRECTORY` writes what is good before it",
  RECORD_INVALID: "`zio nvm recover --salvage DIRECTORY` writes what is good before it",
  DATA_DAMAGED: "`zio nvm recover --salvage DIRECTORY` writes what is good before it",
  UNSUITABLE: "it cannot allocate space ahead, or keeps no locks of mapped files (overlay); use ext4, XFS or tmpfs",
};

/** One line. */
export function describeProblem({ kind, text, code, offset, action, ownerPid, path }: NativeProblem): string {
  const about = path ? `${path}: ` : "";
  if (kind === "SYSTEM") return `${about}${action ? `${action}: ` : ""}${getSystemErrorName(code)}`;
  const where = placed.has(kind) ? `, at offset ${offset} of the pool` : "";
  const who = kind === "IN_USE" && ownerPid > 0 ? `, ${ownerPid}` : "";
  const what = advice[kind] ? `; ${advice[kind]}` : "";
  return `${about}${text}${who}${where}${what}`;
}

/** The value of an answer; throws where it is a failure. */
export async function unwrap<Value>(answer: Promise<Value | NativeFailure>): Promise<Value> {
  const value = await answer;
  if (typeof value === "object" && value !== null && "problem" in value)
    throw new PoolError((value as NativeFailure).problem);
  return value as Value;
}
