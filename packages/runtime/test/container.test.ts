// What the doctor says in a container, by the signs that engines leave.
import type { Capabilities } from "@zio/fault-handler";
import { describe, expect, test } from "vitest";
import { checkContainer, containerEngine } from "../src/doctor/container.js";
import { runZio } from "./support/run-zio.js";

const none = { files: [], cgroups: "0::/", variables: {} };
const refused = { available: false, reason: "", fix: "" } as unknown as Capabilities;
const given = { available: true } as unknown as Capabilities;

test.each([
  [none, undefined],
  [{ ...none, cgroups: "0::/system.slice/ssh.service" }, undefined],
  [{ ...none, files: ["/.dockerenv"] }, "Docker"],
  [{ ...none, cgroups: "0::/system.slice/docker-0123.scope" }, "Docker"],
  [{ ...none, files: ["/run/.containerenv"] }, "Podman"],
  [{ ...none, variables: { container: "podman" } }, "Podman"],
  [{ ...none, cgroups: "0::/machine.slice/libpod-0123.scope" }, "Podman"],
  [{ ...none, variables: { KUBERNETES_SERVICE_HOST: "10.0.0.1" } }, "Kubernetes"],
  [{ ...none, cgroups: "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-0123.scope" }, "Kubernetes"],
  [{ ...none, cgroups: "0::/system.slice/containerd.service/task" }, "containerd"],
  [{ ...none, variables: { container: "lxc" } }, "LXC"],
  [{ ...none, variables: { container: "systemd-nspawn" } }, "systemd-nspawn"],
  [{ ...none, variables: { container: "oci" } }, "another engine"],
])("the signs %o are those of %s", (signs, engine) => {
  expect(containerEngine(signs)).toBe(engine);
});

const status = (seccomp: number, noNewPrivileges: number) =>
  `NoNewPrivs:\t${noNewPrivileges}\nSeccomp:\t${seccomp}\nSeccomp_filters:\t${seccomp / 2}\n`;

describe("the check", () => {
  const docker = { ...none, files: ["/.dockerenv"] };

  test("asks for nothing outside of containers, and where userfaultfd can be had", () => {
    expect(checkContainer(refused, none)).toMatchObject({ state: "ok", reason: "no sign of one", fix: "" });
    expect(checkContainer(given, docker, status(2, 0), true)).toMatchObject({
      state: "ok",
      reason: "one of Docker: /dev/userfaultfd is there, a seccomp profile is in force",
      fix: "",
    });
  });

  test("names the missing device, the profile and no_new_privs, and what to start the container with", () => {
    expect(checkContainer(refused, docker, status(2, 1), false)).toMatchObject({
      state: "limited",
      reason: "one of Docker: /dev/userfaultfd is not there, a seccomp profile is in force, no_new_privs is set",
      fix: "docker run --device /dev/userfaultfd",
    });
  });

  test("tells a pod to have a profile and the capability", () => {
    const pod = { ...none, variables: { KUBERNETES_SERVICE_HOST: "10.0.0.1" } };
    const { fix } = checkContainer(refused, pod, status(2, 0), false);
    expect(fix).toMatch(/seccompProfile .*userfaultfd.* SYS_PTRACE/);
  });
});

test("zio doctor has the check, with the fix where userfaultfd is masked", async () => {
  const env = { KUBERNETES_SERVICE_HOST: "10.0.0.1", ZIO_DISABLE: "userfaultfd" };
  const { stdout } = await runZio(["doctor", "--json"], { env });
  const { checks } = JSON.parse(stdout) as { checks: { id: string; state: string; reason: string }[] };
  expect(checks.find(({ id }) => id === "container")).toMatchObject({
    state: "limited",
    reason: expect.stringMatching(/^one of Kubernetes: \/dev\/userfaultfd is /),
  });
});
