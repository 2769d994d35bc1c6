// Runs what is compiled for arm64 in an emulated machine with Debian's kernel for it: the echo with every byte verified, and
// a selection of victims plain and under zIO, byte for byte, with counters that show elision. qemu-user would not do: it has
// no userfaultfd. Where the tools are missing it says so and ends with 77. `--victims a,b` chooses others.
// Debian: apt-get install qemu-system-arm g++-aarch64-linux-gnu
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { unpackDebian } from "./arm64/debian.mjs";
import { Initramfs } from "./arm64/initramfs.mjs";
import { root, toolsDirectory } from "./environment.mjs";

const { values } = parseArgs({
  options: {
    victims: {
      type: "string",
      default: "overwrite,splits,heap,forks,input_entries,output_entries,messages,mappings,unhooked,nvm_files,nvm_uses",
    },
    minutes: { type: "string", default: "40" },
    verbose: { type: "boolean", default: false },
  },
});
const compiler = "aarch64-linux-gnu-gcc";
const machine = "qemu-system-aarch64";
const debianPackages = ["linux-image-cloud-arm64", "libc6", "libgcc-s1", "busybox-static"];
const libraries = ["libc.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "libm.so.6", "librt.so.1"];
const victimFlags = ["-std=c17", "-D_GNU_SOURCE", "-g", "-O2", "-fno-builtin", "-pthread"];

const progress = (text) => process.stderr.write(`zio: arm64: ${text}\n`);

function skip(reason) {
  progress(`skipped: ${reason}`);
  process.exit(77);
}

for (const [tool, debian] of [
  [compiler, "g++-aarch64-linux-gnu"],
  [machine, "qemu-system-arm"],
  ["apt-get", "apt"],
])
  if (spawnSync(tool, ["--version"]).status !== 0) skip(`there is no ${tool} (Debian: ${debian})`);

function compileVictims(directory) {
  mkdirSync(directory);
  for (const name of values.victims.split(",")) {
    const source = join(root, "packages/interpose/test/victims", `${name}.c`);
    const further = /^\/\* flags: (.*) \*\//.exec(readFileSync(source, "utf8"))?.[1]?.split(" ") ?? [];
    execFileSync(compiler, [...victimFlags, ...further, source, "-o", join(directory, name)], {
      stdio: ["ignore", "inherit", "inherit"],
    });
  }
}

function makeInitramfs(tree, victims) {
  const image = new Initramfs();
  for (const name of ["proc", "sys", "dev", "tmp"]) image.directory(name);
  image.file("bin/busybox", join(tree, "bin/busybox"));
  const applets = "base64 cat cmp head ip kill mkdir mount poweroff rm sed sh timeout tr uname usleep";
  for (const name of applets.split(" ")) image.link(`bin/${name}`, "busybox");
  for (const name of libraries) image.file(`lib/aarch64-linux-gnu/${name}`, join(tree, "lib/aarch64-linux-gnu", name));
  image.file("lib/ld-linux-aarch64.so.1", join(tree, "lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"));
  for (const path of [
    "interpose/libzio.so",
    "interpose/zio-echo-server",
    "interpose/zio-echo-client",
    "nvm/libzio-nvm.so",
  ])
    image.file(
      `opt/zio/${basename(path)}`,
      join(root, "packages", dirname(path), "prebuilds/linux-arm64", basename(path)),
    );
  for (const name of readdirSync(victims)) image.file(`victims/${name}`, join(victims, name));
  image.file("init", join(root, "scripts/arm64/init"));
  return image.bytes();
}

/** Starts the machine and gives the lines that init prints; rejects where it does not come to its end in time. */
async function boot(kernel, initramfs) {
  const hardware = ["-machine", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1G", "-nographic", "-nic", "none"];
  const words = ["-kernel", kernel, "-initrd", initramfs, "-append", "console=ttyAMA0 quiet panic=-1", "-no-reboot"];
  const child = spawn(machine, [...hardware, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), Number(values.minutes) * 60_000);
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const text = line.trimEnd();
    lines.push(text);
    if (values.verbose || /^zio-(machine|plain|under)/.test(text)) progress(text.slice(0, 160));
  }
  clearTimeout(timer);
  if (!lines.includes("zio-end"))
    throw new Error(`the machine did not come to the end:\n${lines.slice(-15).join("\n")}`);
  return lines;
}

/** The counter that shows that a victim had something to do with zIO, and the word for it. */
const evidenceOf = (victim) => (victim.startsWith("nvm_") ? ["loggedBytes", "logged"] : ["elidedBytes", "elided"]);

/** Bytes elided or logged by the processes whose pages were sent under each name. */
function evidenceIn(lines, directory) {
  const { readStatsDirectory } = createRequire(import.meta.url)(join(root, "packages/interpose/dist/index.cjs"));
  const evidence = {};
  const pages = lines.flatMap((line) => (/^zio-page (\S+) (\S+)$/.exec(line)?.slice(1) ? [line.split(" ")] : []));
  for (const [index, [, name, text]] of pages.entries()) {
    const folder = join(directory, "pages", String(index));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "page"), Buffer.from(text, "base64"));
    evidence[name] = (evidence[name] ?? 0) + (readStatsDirectory(folder).totals[evidenceOf(name)[0]] ?? 0);
  }
  return evidence;
}

function judge(lines, evidence) {
  const failed = [];
  const echoes = lines.flatMap((line) => (/^zio-echo (\d+) (\{.*\})$/.exec(line)?.slice(1) ? [line] : []));
  if (echoes.length !== 3) failed.push("not every echo came to its end");
  for (const line of echoes) {
    const [, copies, json] = /^zio-echo (\d+) (\{.*\})$/.exec(line);
    const { messages, wrongMessages } = JSON.parse(json);
    const least = Number(copies) * messages * 500_000;
    const bytes = evidence[`echo-${copies}`] ?? 0;
    progress(`echo with ${copies} copies: ${messages} messages, ${wrongMessages} wrong, ${bytes} bytes elided`);
    if (messages === 0 || wrongMessages !== 0 || bytes < least) failed.push(`echo with ${copies} copies`);
  }
  for (const victim of values.victims.split(",")) {
    const cases = lines.filter((line) => line.startsWith(`zio-case ${victim} `)).map((line) => line.split(" "));
    const count = (verdict) => cases.filter((words) => words[3] === verdict).length;
    progress(
      `${victim}: ${count("same")} the same, ${count("differs")} not, ${count("skipped")} skipped, ${count("slow")} too slow to try, ${evidence[victim] ?? 0} bytes ${evidenceOf(victim)[1]}`,
    );
    for (const [, , name, verdict] of cases) if (verdict === "differs") failed.push(`${victim} ${name}`);
    if (cases.length === 0 || !evidence[victim]) failed.push(`${victim}: nothing was ${evidenceOf(victim)[1]}`);
  }
  return failed;
}

const directory = mkdtempSync(join(tmpdir(), "zio-arm64-"));
try {
  const crossBuild = spawnSync(process.execPath, [join(root, "scripts/cross-build.mjs"), "arm64"], {
    stdio: "inherit",
  });
  if (crossBuild.status !== 0) throw new Error("it does not compile for arm64");
  const tree = unpackDebian(join(toolsDirectory, "arm64"), "arm64", debianPackages);
  const victims = join(directory, "victims");
  compileVictims(victims);
  writeFileSync(join(directory, "initramfs"), makeInitramfs(tree, victims));
  const kernel = readdirSync(join(tree, "boot")).find((name) => name.startsWith("vmlinuz-"));
  progress(`starting ${basename(kernel)}`);
  const lines = await boot(join(tree, "boot", kernel), join(directory, "initramfs"));
  const failed = judge(lines, evidenceIn(lines, directory));
  progress(failed.length > 0 ? `failed: ${failed.join("; ")}` : "passed");
  process.exitCode = failed.length > 0 ? 1 : 0;
} catch (error) {
  progress(error.message);
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
