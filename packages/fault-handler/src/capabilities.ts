import { release } from "node:os";
import { getSystemErrorName } from "node:util";
import { native, nativeProblem } from "./load-native.js";

/** What `ZIO_DISABLE` can mask. */
export type KernelFeature = "userfaultfd" | "device" | "syscall" | "move" | "procmap-query" | "thread-id" | "poison";

export interface Available {
  available: true;
  /** How the userfaultfd was opened: through /dev/userfaultfd, or by userfaultfd(2). */
  openedBy: "device" | "syscall";
  /** The kernel's release, as `uname -r` prints it. */
  kernel: string;
  /** Masked by the caller. */
  disabled: KernelFeature[];
  /** What the kernel lacks, or what is masked, and what is lost by it. */
  missing: { feature: KernelFeature; lost: string }[];
}

export interface Unavailable {
  available: false;
  kernel: string;
  disabled: KernelFeature[];
  /** Why, in words, and what to do about it. */
  reason: string;
  fix: string;
  /** A userfaultfd could be had, but one that does not serve the kernel's own accesses: of no use here. */
  userModeOnly: boolean;
  /** The errno name of each step that failed. */
  errors: { device?: string; syscall?: string; features?: string };
}

export type Capabilities = Available | Unavailable;

export interface CapabilitiesOptions {
  /** Kernel features to do without. The default is what the environment variable `ZIO_DISABLE` names. */
  disable?: KernelFeature[];
}

/** The mask of `disable`, or of `ZIO_DISABLE`; a bad variable counts as empty, a bad argument is a RangeError. */
export function disabledMask(disable: readonly KernelFeature[] | undefined): number {
  const mask = native().parseFeatures(disable?.join(",") ?? process.env.ZIO_DISABLE ?? "");
  if (mask >= 0) return mask;
  if (disable === undefined) return 0;
  const known = native()
    .featureTable.map(([name]) => name)
    .join(", ");
  throw new RangeError(`disable names what is no kernel feature: ${disable.join(", ")}; known are ${known}`);
}

function featuresOf(mask: number): KernelFeature[] {
  return native()
    .featureTable.filter(([, bit]) => mask & bit)
    .map(([name]) => name as KernelFeature);
}

/**
 * Tries out what this process may do with userfaultfd at this moment. Opens a descriptor and closes it again; under a
 * seccomp filter it lets a child of the process do so first. On a platform where zIO cannot work it says so.
 */
export function capabilities(options: CapabilitiesOptions = {}): Capabilities {
  const problem = nativeProblem();
  if (problem)
    return { available: false, kernel: release(), disabled: [], ...problem, userModeOnly: false, errors: {} };
  const mask = disabledMask(options.disable);
  const found = native().capabilities(mask);
  const common = { kernel: release(), disabled: featuresOf(mask) };
  if (found.code === 0) {
    const present: Partial<Record<KernelFeature, boolean>> = {
      move: found.move,
      poison: found.poison,
      "thread-id": found.threadId,
      "procmap-query": found.procmapQuery,
    };
    const missing = native()
      .featureTable.filter(([name]) => present[name as KernelFeature] === false)
      .map(([name, , lost]) => ({ feature: name as KernelFeature, lost }));
    return { available: true, openedBy: found.viaDevice ? "device" : "syscall", ...common, missing };
  }
  const cut = found.text.lastIndexOf("; ");
  const name = (code: number) => (code === 0 ? undefined : getSystemErrorName(code));
  return {
    available: false,
    ...common,
    reason: found.text.slice(0, cut),
    fix: found.text.slice(cut + 2),
    userModeOnly: found.userModeOnly,
    errors: withoutUndefined({
      device: name(found.deviceError),
      syscall: name(found.syscallError),
      features: name(found.apiError),
    }),
  };
}

function withoutUndefined(errors: Record<string, string | undefined>): Unavailable["errors"] {
  return Object.fromEntries(Object.entries(errors).filter(([, value]) => value !== undefined));
}
