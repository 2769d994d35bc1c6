import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Outcome, Program } from "../program.js";
import { sha256, sha256OfFile, writeFileOfSeed } from "../stream.js";

const compressors = ["gzip -n", "xz -T2", "xz -T1 -0", "zstd -q -T2", "zstd -q --long=24 -1", "bzip2", "lz4 -q"];

export const archives: Program = {
  name: "archives",
  title: "tar, gzip, xz, zstd, bzip2, lz4",
  what: "tar through each compressor and back in pipelines, with cat, dd, tee, split, sort and cmp between; hashes",
  debianPackages: ["tar", "gzip", "xz-utils", "zstd", "bzip2", "lz4", "coreutils", "diffutils"],
  version: () => "Debian's",

  async run(context) {
    const input = join(context.directory, "input");
    mkdirSync(input);
    const sizes = [0, 1, 4095, 65536, 1_000_003, 8 << 20];
    for (const [index, size] of sizes.entries()) writeFileOfSeed(join(input, `file-${index}`), index + 1, size);
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const shell = async (name: string, script: string) => {
      const { status, stdout, stderr } = await context.run("bash", ["-c", `set -o pipefail; ${script}`]);
      same[name] = `${status} ${sha256(stdout)} ${stderr}`;
      if (status !== 0) failed.push(`${name} succeeds`);
      return stdout;
    };
    const tar = "tar --sort=name --mtime=@0 --owner=0 --group=0 -C input -cf -";

    await shell("tar", `${tar} .`);
    const whole = sha256(await shell("tar to a file", `${tar} . > all.tar && cat all.tar`));
    for (const compressor of compressors) {
      await shell(compressor, `${tar} . | ${compressor} -c > packed`);
      const back = await shell(`${compressor} back`, `${compressor} -dc < packed | cat | dd bs=256k status=none`);
      if (sha256(back) !== whole) failed.push(`${compressor} gives back what it got`);
      await shell(`${compressor} tests`, `${compressor} -t packed`);
    }
    await shell("unpack", `mkdir out && tar -xf all.tar -C out && diff -r input out && echo equal`);
    for (const [index] of sizes.entries()) {
      const [from, to] = ["input", "out"].map((name) => join(context.directory, name, `file-${index}`));
      if (sha256OfFile(from!) !== sha256OfFile(to!)) failed.push(`file-${index} is unpacked as it was packed`);
    }
    await shell("tee", "cat all.tar | tee copy-1 copy-2 | cmp - all.tar && cmp copy-1 copy-2 && echo equal");
    await shell("split", "split -b 777777 all.tar part. && cat part.* | cmp - all.tar && echo equal");
    await shell(
      "dd",
      "dd if=all.tar bs=1M status=none | dd ibs=128k obs=96k status=none | dd ibs=64k obs=1M status=none",
    );
    await shell("sort", "base64 -w 76 all.tar | sort | uniq -c | sha256sum");
    await shell("base64", "base64 all.tar | base64 -d | cmp - all.tar && echo equal");
    await shell("od", "od -An -v -tx1 < all.tar | tail -c 1000000");
    await shell("tac, rev, tr", "base64 all.tar | tac | rev | tr a-z A-Z");
    await shell("dd of blocks", "dd if=all.tar bs=1M status=none | dd bs=333k iflag=fullblock status=none");
    return { checks: compressors.length + sizes.length, failed, same } satisfies Outcome;
  },
};
