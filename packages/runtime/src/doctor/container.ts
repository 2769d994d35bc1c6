// Whether this process runs in a container, by which engine as far as that shows, and what to set there.
import { existsSync } from "node:fs";
import type { Capabilities } from "@zio/fault-handler";
import { type Check, good } from "./check.js";
import { readText, statusField } from "./proc.js";

/** What gives a container away. */
export interface ContainerSigns {
  /** Of the files that engines put into each container: /.dockerenv, /run/.containerenv. */
  files: readonly string[];
  /** /proc/self/cgroup and /proc/1/cgroup; inside a cgroup namespace they show nothing. */
  cgroups: string;
  variables: NodeJS.ProcessEnv;
}

type Engine = "Kubernetes" | "Podman" | "Docker" | "containerd" | "LXC" | "systemd-nspawn" | "another engine";

const files = ["/.dockerenv", "/run/.containerenv"];

export function containerSigns(): ContainerSigns {
  const cgroups = ["/proc/self/cgroup", "/proc/1/cgroup"].map((path) => readText(path) ?? "").join("\n");
  return { files: files.filter((path) => existsSync(path)), cgroups, variables: process.env };
}

/** The engine; undefined where nothing shows that this is a container. */
export function containerEngine({ files, cgroups, variables }: ContainerSigns): Engine | undefined {
  const named = variables.container ?? "";
  // A pod's containers have signs of the engine below as well.
  if (variables.KUBERNETES_SERVICE_HOST !== undefined || /kubepods/.test(cgroups)) return "Kubernetes";
  if (files.includes("/run/.containerenv") || named === "podman" || /libpod/.test(cgroups)) return "Podman";
  if (files.includes("/.dockerenv") || named === "docker" || /\/docker[/-]/.test(cgroups)) return "Docker";
  if (/containerd/.test(cgroups)) return "containerd";
  if (named === "lxc" || /\/lxc[./]/.test(cgroups)) return "LXC";
  if (named === "systemd-nspawn") return "systemd-nspawn";
  return named === "" ? undefined : "another engine";
}

/** What gives a container userfaultfd, the least first. */
const fixes: Record<Engine, string> = {
  Kubernetes:
    "in securityContext set seccompProfile {type: Localhost} to a profile that allows userfaultfd, and add the capability SYS_PTRACE; or the node's sysctl vm.unprivileged_userfaultfd=1 with that profile",
  Podman: "podman run --device /dev/userfaultfd",
  Docker: "docker run --device /dev/userfaultfd",
  containerd: "give it the device /dev/userfaultfd (ctr run --device /dev/userfaultfd)",
  LXC: "lxc.cgroup2.devices.allow and lxc.mount.entry for /dev/userfaultfd",
  "systemd-nspawn": "systemd-nspawn --bind /dev/userfaultfd --property DeviceAllow='/dev/userfaultfd rw'",
  "another engine": "give it the device /dev/userfaultfd, or a seccomp profile that allows userfaultfd",
};

/** The check of a container: what it has of what zIO looks for, and what to start it with. */
export function checkContainer(
  found: Capabilities,
  signs = containerSigns(),
  status = readText("/proc/self/status") ?? "",
  hasDevice = existsSync("/dev/userfaultfd"),
): Check {
  const [id, title] = ["container", "container"];
  const engine = containerEngine(signs);
  if (engine === undefined) return good(id, title, "no sign of one");
  const filtered = statusField("Seccomp", status) === "2";
  const facts = [
    hasDevice ? "/dev/userfaultfd is there" : "/dev/userfaultfd is not there",
    filtered ? "a seccomp profile is in force" : "no seccomp profile",
    // Then a set-user-ID program gains nothing, and the library stays in it.
    ...(statusField("NoNewPrivs", status) === "1" ? ["no_new_privs is set"] : []),
  ];
  const reason = `${engine === "another engine" ? "one" : `one of ${engine}`}: ${facts.join(", ")}`;
  if (found.available) return good(id, title, reason);
  return { id, title, state: "limited", reason, fix: fixes[engine] };
}
