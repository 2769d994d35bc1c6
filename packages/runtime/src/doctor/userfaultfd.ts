// Whether this process, and so a program it starts, can use userfaultfd, by which way, and with what features. What is
// said here is tried out, not inferred from settings.
import { type Capabilities, capabilities, type KernelFeature } from "@zio/fault-handler";
import { type Check, good } from "./check.js";
import { hasCapability, isInUserNamespace, readNumber } from "./proc.js";

const sysPtrace = 19;
const sysctl = "/proc/sys/vm/unprivileged_userfaultfd";

/** Features that zIO does without where it must: the kernel that brought each. */
const featureKernels: Partial<Record<KernelFeature, string>> = {
  "procmap-query": "6.11",
  move: "6.8",
  poison: "6.6",
  "thread-id": "4.14",
};

function overall(found: Capabilities): Check {
  const [id, title] = ["userfaultfd", "userfaultfd"];
  if (found.available) {
    return good(id, title, `available by ${found.openedBy === "device" ? "/dev/userfaultfd" : "userfaultfd(2)"}`);
  }
  return { id, title, state: "missing", reason: found.reason, fix: found.fix };
}

/** One of the ways to a descriptor, tried alone. */
function way(id: string, title: string, found: Capabilities, error: string | undefined): Check {
  if (found.available) return good(id, title, "works");
  const errno = error === undefined ? "" : ` (${error})`;
  return { id, title, state: "limited", reason: `cannot be used${errno}`, fix: found.fix };
}

/** A descriptor for faults of user code alone, which an ordinary user gets, is of no use: system calls fault as well. */
function userModeOnly(found: Capabilities): Check[] {
  if (found.available || !found.userModeOnly) return [];
  const reason = "a descriptor that serves no faults of system calls could be had; zIO needs one that does";
  return [{ id: "user-mode-only", title: "user mode only", state: "limited", reason, fix: found.fix }];
}

function permissions(found: Capabilities): Check {
  const [id, title] = ["permissions", "permissions"];
  const user = process.geteuid?.() === 0 ? "root" : `user ${process.geteuid?.()}`;
  const capability = isInUserNamespace()
    ? "in a user namespace, whose capabilities do not count here"
    : hasCapability(sysPtrace)
      ? "with CAP_SYS_PTRACE"
      : "without CAP_SYS_PTRACE";
  const setting = readNumber(sysctl);
  const value =
    setting === undefined ? "there is no vm.unprivileged_userfaultfd" : `vm.unprivileged_userfaultfd is ${setting}`;
  const reason = `${user}, ${capability}; ${value}`;
  return found.available ? good(id, title, reason) : { id, title, state: "limited", reason, fix: found.fix };
}

function features(found: Capabilities): Check[] {
  if (!found.available) return [];
  return Object.entries(featureKernels).map(([feature, kernel]) => {
    const [id, title] = [`feature-${feature}`, feature];
    const missing = found.missing.find((each) => each.feature === feature);
    if (!missing) return good(id, title, "the kernel has it");
    const masked = found.disabled.includes(feature as KernelFeature);
    const fix = masked ? `take ${feature} out of ZIO_DISABLE` : `Linux ${kernel} or newer has it`;
    return { id, title, state: "limited" as const, reason: `without: ${missing.lost}`, fix };
  });
}

/** The ways to a userfaultfd, whether one of them is open, and what the descriptor can do. */
export function userfaultfdChecks(): Check[] {
  const found = capabilities();
  const device = capabilities({ disable: ["syscall"] });
  const call = capabilities({ disable: ["device"] });
  return [
    overall(found),
    way("userfaultfd-device", "/dev/userfaultfd", device, device.available ? undefined : device.errors.device),
    way("userfaultfd-syscall", "userfaultfd(2)", call, call.available ? undefined : call.errors.syscall),
    ...userModeOnly(call),
    permissions(found),
    ...features(found),
  ];
}

/** Why programs would run without zIO, or undefined where userfaultfd can be had. */
export function userfaultfdProblem(disable: KernelFeature[] = []): { reason: string; fix: string } | undefined {
  const found = capabilities({ disable });
  return found.available ? undefined : { reason: `userfaultfd is not available: ${found.reason}`, fix: found.fix };
}
