/** What one capability looks like on this machine. */
export interface Check {
  /** Stays the same from version to version. */
  id: string;
  title: string;
  /** ok: as it should be; limited: zIO works with less; missing: zIO cannot work; unknown: it could not be found out. */
  state: "ok" | "limited" | "missing" | "unknown";
  /** What was found. */
  reason: string;
  /** What to do about it; empty where there is nothing to do. */
  fix: string;
}

/** A check in a state that asks for nothing. */
export function good(id: string, title: string, reason: string): Check {
  return { id, title, state: "ok", reason, fix: "" };
}
