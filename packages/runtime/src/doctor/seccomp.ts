// Seccomp filters that were there before a program starts: docs/decisions/0015-a-filter-at-the-start.md.
import { type Check, good } from "./check.js";

/** Why the library stays off although userfaultfd can be had. */
export function seccompProblem(filters: number | undefined): { reason: string; fix: string } | undefined {
  if (filters !== undefined) return undefined;
  return {
    reason: "seccomp filters are active and this kernel does not tell how many",
    fix: "use Linux 5.9 or newer, or start without a filter (docker: --security-opt seccomp=unconfined)",
  };
}

export function checkSeccomp(filters: number | undefined): Check {
  const [id, title] = ["seccomp", "seccomp"];
  const problem = seccompProblem(filters);
  if (problem) return { id, title, state: "missing", ...problem };
  if (!filters) return good(id, title, "no filter");
  const reason = `${filters === 1 ? "a filter is" : `${filters} filters are`} active: zIO works in programs that are told so`;
  return { id, title, state: "limited", reason, fix: `use zio run, or set ZIO_SECCOMP=${filters}` };
}
