// File streams of many sizes, whole files, vectors, positions, copies and appends.
import { createReadStream, createWriteStream, openSync, readFileSync, readSync, writevSync } from "node:fs";
import { appendFile, copyFile, open, readFile, rm, writeFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { bytes, hash, hashOf, report } from "./support.mjs";

const data = bytes(5, 9_000_011);
await writeFile("a", data);
for (const highWaterMark of [4096, 16_384, 65_536, 1 << 20, 3_000_000]) {
  await pipeline(createReadStream("a", { highWaterMark }), createWriteStream("b", { highWaterMark }));
  report(`copied by ${highWaterMark}`, hash(readFileSync("b")));
  report(
    `part by ${highWaterMark}`,
    await hashOf(createReadStream("b", { highWaterMark, start: 12_345, end: 5_000_000 })),
  );
}
await copyFile("a", "c");
await appendFile("c", await readFile("a"));
report("appended", hash(await readFile("c")));

const file = await open("d", "w+");
for (let i = 0; i < 60; i++) await file.write(data, i * 100_000, 150_000, (59 - i) * 100_000);
report("backwards", hash(await readFile("d")));
const parts = Array.from({ length: 30 }, (_, i) => data.subarray(i * 200_000, i * 200_000 + 100_001));
await file.writev(parts, 0);
const [left, right] = [Buffer.alloc(1_000_000), Buffer.alloc(2_000_003)];
const { bytesRead } = await file.readv([left, right], 7);
report("vectors", `${bytesRead} ${hash(left)} ${hash(right)}`);
await file.truncate(1_234_567);
report("truncated", hash(await file.readFile()));
await file.close();

const again = openSync("a", "r+");
const same = Buffer.alloc(500_000);
for (let i = 0; i < 10; i++) {
  readSync(again, same, 0, same.length, i * 500_000);
  writevSync(again, [same.subarray(250_000), same.subarray(0, 250_000)], i * 500_000);
}
report("rotated in place", hash(readFileSync("a")));
await Promise.all(["a", "b", "c", "d"].map((name) => rm(name)));
