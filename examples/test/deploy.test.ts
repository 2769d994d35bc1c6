// What can be tried here of the systemd, Docker and Kubernetes examples: what they say, the profile, the layout.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { demoProgramPath, libraryPath, preloadablePath, readStatsDirectory } from "@zio/interpose";
import { capabilities } from "@zio/runtime";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { examples, profile, profileProblem, runUnderProfile } from "./profile.js";

const zio = join(examples, "../bin/zio");
const device = capabilities({ disable: ["syscall"] });
const call = capabilities({ disable: ["device"] });
const read = (path: string) => readFileSync(join(examples, path), "utf8");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-deploy-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the seccomp profile", () => {
  const diagnose = async (without: string[], env: NodeJS.ProcessEnv = {}) => {
    const { stdout, stderr } = await runUnderProfile([zio, "doctor", "--json"], {
      without,
      env: { ...process.env, ...env },
    });
    expect(stderr).toBe("");
    return JSON.parse(stdout) as { works: boolean; checks: { id: string; reason: string }[] };
  };

  test("permits what zIO needs, by the system call as well as by the device", async ({ skip }) => {
    skip(profileProblem !== undefined, profileProblem);
    skip(!call.available, "userfaultfd(2) is not permitted here");
    expect((await diagnose([], { ZIO_DISABLE: "device" })).works).toBe(true);
  });

  test("without its addition the device alone is enough, and without the device it is not", async ({ skip }) => {
    skip(profileProblem !== undefined, profileProblem);
    skip(!device.available, "no access to /dev/userfaultfd");
    const added = ["userfaultfd", "pidfd_getfd"];
    expect((await diagnose(added)).works).toBe(true);
    const { works, checks } = await diagnose(added, { ZIO_DISABLE: "device" });
    expect(works).toBe(false);
    expect(checks.find(({ id }) => id === "userfaultfd")!.reason).toMatch(/seccomp/);
  });

  test("refuses what the engines' profiles refuse", async ({ skip }) => {
    skip(profileProblem !== undefined, profileProblem);
    expect(await runUnderProfile(["unshare", "--user", "true"])).toMatchObject({ status: 1 });
    expect((await runUnderProfile(["mount", "-t", "tmpfs", "none", directory])).status).not.toBe(0);
    const allowed = profile.syscalls.filter(({ action }) => action === "SCMP_ACT_ALLOW").flatMap(({ names }) => names);
    for (const name of ["bpf", "init_module", "kexec_load", "keyctl", "mount", "perf_event_open", "reboot", "setns"])
      expect(allowed).not.toContain(name);
    expect(new Set(allowed.filter((name) => name !== "personality")).size).toBe(
      allowed.filter((name) => name !== "personality").length,
    );
  });
});

describe("the library in a volume", () => {
  /** The echo of the demo with the environment of the examples; the counters tell whether it worked. */
  const echo = `
    "$1" --message 512K --copies 2 > "$3/port" & server=$!
    while [ ! -s "$3/port" ]; do sleep 0.02; done
    read -r _ port < "$3/port"
    LD_PRELOAD= "$2" --message 512K --port "$port" --messages 40 --verify all --seconds 20
    kill $server; wait $server || true`;

  test("preloads from a read-only directory under the profile, and every byte is right", async ({ skip }) => {
    skip(profileProblem !== undefined, profileProblem);
    skip(!device.available && !call.available, "no userfaultfd");
    const volume = join(directory, "volume");
    mkdirSync(volume);
    copyFileSync(libraryPath(), join(volume, "libzio.so"));
    const pod = parse(read("kubernetes/pod.yaml"));
    const [container] = pod.spec.containers;
    const variables = Object.fromEntries(
      container.env.map((each: { name: string; value: string }) => [each.name, each.value]),
    );
    expect(variables).toMatchObject({ LD_PRELOAD: "/zio/libzio.so", ZIO_SECCOMP: "1" });
    // One more where the tests themselves run under filters.
    const above = Number(/^Seccomp_filters:\s*(\d+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? 0);
    const set = { ...variables, LD_PRELOAD: join(volume, "libzio.so"), ZIO_SECCOMP: String(above + 1) };
    const counters = join(directory, "counters");
    mkdirSync(counters);
    const env = Object.entries({ ...set, ZIO_POLICY: "always", ZIO_STATS: counters }).map((pair) => pair.join("="));
    const programs = [demoProgramPath("zio-echo-server")!, demoProgramPath("zio-echo-client")!];
    const mounted = spawnSync("unshare", ["--mount", "true"]).status === 0;
    const readOnly = 'mount --bind -o ro "$1" "$1"; ! touch "$1/x" 2>/dev/null; shift; exec "$@"';
    const by = mounted ? ["unshare", "--mount", "--propagation", "private", "sh", "-ec", readOnly, "sh", volume] : [];
    const words = ["env", ...env, "sh", "-ec", echo, "sh", ...programs, directory];
    const { status, stdout, stderr } = await runUnderProfile(words, { by });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ messages: 40, wrongMessages: 0 });
    const server = readStatsDirectory(counters).processes.find(({ command }) => command.includes("echo-server"));
    expect(server).toMatchObject({ state: "active" });
    expect(server!.counters.elidedBytes).toBeGreaterThan(39 * 1024 * 1024);
  });

  test("the examples copy the file that the package ships, and preload it from where they put it", () => {
    const shipped = "@zio/interpose/prebuilds/linux-";
    const dockerfile = read("docker/Dockerfile");
    expect(dockerfile).toContain(shipped);
    expect(dockerfile).toContain("COPY --from=zio /opt/libzio.so /opt/zio/libzio.so");
    expect(dockerfile).toContain("LD_PRELOAD=/opt/zio/libzio.so");
    const pod = parse(read("kubernetes/pod.yaml"));
    const [init] = pod.spec.initContainers;
    const [container] = pod.spec.containers;
    expect(init.command[2]).toContain(shipped);
    expect(init.volumeMounts[0].name).toBe(pod.spec.volumes[0].name);
    expect(container.volumeMounts[0]).toEqual({ name: "zio", mountPath: "/zio", readOnly: true });
    // Root without CAP_DAC_OVERRIDE cannot write into the image's /data, which is the user redis's.
    expect(container.volumeMounts[1]).toEqual({ name: "data", mountPath: "/data" });
    expect(pod.spec.volumes.map(({ name }: { name: string }) => name)).toEqual(["zio", "data"]);
    expect(container.securityContext).toMatchObject({
      capabilities: { add: ["SYS_PTRACE"] },
      seccompProfile: { type: "Localhost", localhostProfile: "zio.json" },
    });
    expect(preloadablePath("/zio/libzio.so")).toBe("/zio/libzio.so");
  });
});

test("the compose file gives the container the device and names the profile that is there", () => {
  const text = read("docker/compose.yaml");
  expect(parse(text).services.redis).toMatchObject({ build: ".", devices: ["/dev/userfaultfd"] });
  const named = /seccomp=(\S+?)\]/.exec(text)![1]!;
  expect(JSON.parse(read(join("docker", named)))).toEqual(profile);
});

test("systemd takes the drop-in", ({ skip }) => {
  skip(spawnSync("systemd-analyze", ["--version"]).error !== undefined, "systemd-analyze is not installed");
  const unit = "zio-example.service";
  const settings = ["ExecStart=/bin/true", "PrivateDevices=yes", "MemoryDenyWriteExecute=yes", "NoNewPrivileges=yes"];
  writeFileSync(join(directory, unit), `[Service]\n${settings.join("\n")}\n`);
  mkdirSync(join(directory, `${unit}.d`));
  const verify = (dropIn: string) => {
    writeFileSync(join(directory, `${unit}.d/zio.conf`), dropIn);
    const child = spawnSync("systemd-analyze", ["verify", "--man=no", join(directory, unit)], { encoding: "utf8" });
    return child.stderr.split("\n").filter((line) => line.includes(directory));
  };
  expect(verify(read("systemd/zio.conf"))).toEqual([]);
  // It does look at the drop-in.
  expect(verify("[Service]\nDeviceAllowed=/dev/userfaultfd rw\n")).toHaveLength(1);
});
