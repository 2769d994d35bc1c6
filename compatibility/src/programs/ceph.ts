import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Checks } from "../http.js";
import type { Context, Program } from "../program.js";
import { bytesOfSeed } from "../stream.js";

const fsid = "b7f1c3de-0d4a-4a53-9a53-6a1f6c0d1e2f";

/** The first protocol can do without checksums of the data, which look at every byte before anybody copies it. */
function configuration(directory: string, monitor: string, store: string, protocol: string): string {
  return `[global]
fsid = ${fsid}
mon host = ${monitor}
mon initial members = a
public addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
osd crush chooseleaf type = 0
osd objectstore = ${store}
memstore device bytes = 1073741824
bluestore block size = 1073741824
osd max object size = 134217728
run dir = ${directory}
log file = ${directory}/$name.log
admin socket = ${directory}/$name.asok
mon data = ${directory}/mon
osd data = ${directory}/osd
ms bind msgr2 = ${protocol === "v2"}
ms crc data = ${protocol === "v2"}
osd heartbeat grace = 120
`;
}

/** A monitor and one OSD that hold nothing yet. */
async function startCluster(context: Context, directory: string, store: string, protocol: string): Promise<string> {
  mkdirSync(directory);
  for (const name of ["mon", "osd"]) mkdirSync(join(directory, name));
  const port = await context.freePort();
  const conf = join(directory, "ceph.conf");
  writeFileSync(conf, configuration(directory, `${protocol}:127.0.0.1:${port}/0`, store, protocol));
  const plain = { plain: true, cwd: directory };
  const map = join(directory, "monmap");
  const monitor = ["--addv", "a", `[${protocol}:127.0.0.1:${port}]`];
  await context.succeed("monmaptool", ["--create", "--fsid", fsid, ...monitor, map], plain);
  await context.succeed("ceph-mon", ["-c", conf, "--mkfs", "-i", "a", "--monmap", map], plain);
  context.start("ceph-mon", ["-c", conf, "-f", "-i", "a"], { cwd: directory });
  await context.untilListening(port, 60_000);
  const ceph = (...words: string[]) =>
    context.succeed("ceph", ["-c", conf, "--connect-timeout", "60", ...words], { ...plain, timeoutMs: 120_000 });
  const osd = (await ceph("osd", "create")).stdout.toString().trim();
  await context.succeed("ceph-osd", ["-c", conf, "--mkfs", "-i", osd], { ...plain, timeoutMs: 120_000 });
  await ceph("osd", "crush", "add", `osd.${osd}`, "1", "root=default", "host=here");
  context.start("ceph-osd", ["-c", conf, "-f", "-i", osd], { cwd: directory });
  await ceph("osd", "pool", "create", "data", "8", "8");
  return conf;
}

async function useObjects(context: Context, checks: Checks, conf: string, store: string): Promise<void> {
  const { directory } = context;
  const rados = (...words: string[]) =>
    context.succeed("rados", ["-c", conf, "-p", "data", ...words], { cwd: directory, timeoutMs: 180_000 });
  for (const [seed, length] of [1000, 65_536, 400_001, 4_194_304, 20_000_003].entries()) {
    const bytes = bytesOfSeed(seed + 1, length);
    writeFileSync(join(directory, "in"), bytes);
    await checks.check(`${store}: an object of ${length} bytes`, async () => {
      await rados("put", `object-${seed}`, "in");
      await rados("get", `object-${seed}`, "out");
      return readFileSync(join(directory, "out")).equals(bytes) ? "" : "it comes back otherwise";
    });
    await checks.check(`${store}: an object of ${length} bytes, appended to and cut`, async () => {
      await rados("append", `object-${seed}`, "in");
      await rados("truncate", `object-${seed}`, String(length + 500));
      await rados("get", `object-${seed}`, "out");
      const expected = Buffer.concat([bytes, bytes.subarray(0, 500)]);
      return readFileSync(join(directory, "out")).equals(expected) ? "" : "it comes back otherwise";
    });
  }
  for (const bytes of [65_536, 1_048_576]) {
    const bench = ["bench", "4", "write", "-b", String(bytes), "-t", "4", "--max-objects", "200", "--no-cleanup"];
    await checks.check(`${store}: the cluster's own benchmark reads back what it wrote, ${bytes}`, async () => {
      await rados(...bench);
      // Each object is compared with what was written.
      const { stdout } = await rados("bench", "4", "seq", "-t", "4");
      await rados("cleanup");
      return /Total reads made:\s+[1-9]/.test(stdout.toString()) ? "" : "nothing was read";
    });
  }
  const listing = (await rados("ls")).stdout.toString().trim().split("\n").sort().join(" ");
  checks.same[`${store}: the pool at the end`] = createHash("sha256").update(listing).digest("hex");
}

export const ceph: Program = {
  name: "ceph",
  title: "Ceph",
  what:
    "one monitor and one OSD (in memory without checksums of the network, then BlueStore on a file with them); objects of 1 KB to 40 MB written, appended to, cut and " +
    "read back; rados bench, which compares what it reads",
  debianPackages: ["ceph-osd", "ceph-mon", "ceph-common"],
  deadlineMs: 900_000,

  async run(context) {
    const checks = new Checks(context.log);
    for (const [store, protocol] of [
      ["memstore", "v1"],
      ["bluestore", "v2"],
    ] as const) {
      const conf = await startCluster(context, join(context.directory, store), store, protocol);
      await useObjects(context, checks, conf, store);
    }
    return checks.outcome;
  },
};
