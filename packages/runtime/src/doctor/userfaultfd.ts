// Whether this process, and so a program it starts, can use userfaultfd.
import { closeSync, constants, openSync } from "node:fs";
import { type Check, good } from "./check.js";
import { hasCapability, readNumber, statusField } from "./proc.js";

const sysPtrace = 19;
const device = "/dev/userfaultfd";
const sysctl = "/proc/sys/vm/unprivileged_userfaultfd";

export interface UserfaultfdProblem {
  reason: string;
  fix: string;
}

const deviceFix =
  'as root: `setfacl -m u:USER:rw /dev/userfaultfd`, or a udev rule: KERNEL=="userfaultfd", MODE="0660", GROUP="zio"';

function deviceError(): string | undefined {
  try {
    closeSync(openSync(device, constants.O_RDWR | constants.O_NONBLOCK));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "EIO";
  }
}

function checkDevice(): Check {
  const [id, title] = ["userfaultfd-device", "/dev/userfaultfd"];
  const error = deviceError();
  if (error === undefined) return good(id, title, "it can be opened");
  if (error === "ENOENT") {
    return {
      id,
      title,
      state: "limited",
      reason: "it is not there",
      fix: "Linux 6.1 and newer has it; in a container: --device /dev/userfaultfd",
    };
  }
  return { id, title, state: "limited", reason: `it cannot be opened (${error})`, fix: deviceFix };
}

function checkSyscall(): Check {
  const [id, title] = ["userfaultfd-syscall", "userfaultfd(2)"];
  if (readNumber(sysctl) === undefined) {
    return {
      id,
      title,
      state: "limited",
      reason: "the kernel was built without it",
      fix: "use a kernel with CONFIG_USERFAULTFD",
    };
  }
  if (statusField("Seccomp") !== "0") {
    return {
      id,
      title,
      state: "limited",
      reason: "a seccomp filter is active and may refuse it",
      fix: "allow userfaultfd in the seccomp profile of the container",
    };
  }
  if (hasCapability(sysPtrace)) return good(id, title, "allowed by CAP_SYS_PTRACE");
  if (readNumber(sysctl) === 1) return good(id, title, "allowed to everybody by vm.unprivileged_userfaultfd");
  return {
    id,
    title,
    state: "limited",
    reason: "not for this user: only faults of user code could be handled, not those of system calls",
    fix: "sysctl vm.unprivileged_userfaultfd=1, or CAP_SYS_PTRACE",
  };
}

/** The ways to a userfaultfd, and whether one of them is open. */
export function userfaultfdChecks(): Check[] {
  const ways = [checkDevice(), checkSyscall()];
  const open = ways.find(({ state }) => state === "ok");
  const [id, title] = ["userfaultfd", "userfaultfd"];
  if (open) return [good(id, title, `available by ${open.title}`), ...ways];
  const reason = ways.map((way) => `${way.title}: ${way.reason}`).join("; ");
  return [{ id, title, state: "missing", reason, fix: deviceFix }, ...ways];
}

/** Why programs would run without zIO, or undefined where userfaultfd can be had. */
export function userfaultfdProblem(): UserfaultfdProblem | undefined {
  const [overall] = userfaultfdChecks();
  if (overall?.state !== "missing") return undefined;
  return { reason: `userfaultfd is not available (${overall.reason})`, fix: overall.fix };
}
