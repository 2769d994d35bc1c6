// An unmodified curl that loads large files down and up.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeApp } from "./app-session.js";
import { contentOf, expectSame } from "./content.js";
import { bodyAt, startHttpOrigin } from "./http-origin.js";

const mebibyte = 1 << 20;
const sizes = [100_000, mebibyte, 16 * mebibyte + 123];
const evidence = { redirectedBytes: mebibyte };
const quiet = ["--silent", "--show-error", "--fail", "--max-time", "20"];

describeApp("curl downloads large files", { programs: ["curl"], evidence }, async (session) => {
  const origin = await startHttpOrigin();
  try {
    const url = (path: string) => `http://127.0.0.1:${origin.port}${path}`;
    const file = (name: string) => join(session.directory, name);
    for (const bytes of sizes) {
      const path = `/3/${bytes}`;
      await session.run("curl", [...quiet, "-o", file("one"), url(path)]);
      expectSame(readFileSync(file("one")), bodyAt(path), `file of ${bytes} bytes`);
      await session.run("curl", [...quiet, "-o", file("two"), url(`${path}?chunked`)]);
      expectSame(readFileSync(file("two")), bodyAt(path), `chunked file of ${bytes} bytes`);
      const piped = await session.run("curl", [...quiet, url(path)]);
      expectSame(piped, bodyAt(path), `standard output of ${bytes} bytes`);
    }
    const paths = [4, 5, 6, 7].map((seed) => `/${seed}/${4 * mebibyte + seed}`);
    const each = paths.flatMap((path, index) => ["-o", file(`parallel-${index}`), url(path)]);
    await session.run("curl", [...quiet, "--parallel", ...each]);
    for (const [index, path] of paths.entries())
      expectSame(readFileSync(file(`parallel-${index}`)), bodyAt(path), `parallel download of ${path}`);
  } finally {
    await origin[Symbol.asyncDispose]();
  }
});

describeApp("curl uploads large files", { programs: ["curl"], evidence }, async (session) => {
  const origin = await startHttpOrigin();
  try {
    const file = join(session.directory, "body");
    for (const bytes of sizes) {
      const body = contentOf(11, bytes);
      writeFileSync(file, body);
      const url = (name: string) => `http://127.0.0.1:${origin.port}/${name}/${bytes}`;
      const ways = { streamed: ["-T", file], posted: ["--data-binary", `@${file}`], form: ["-F", `file=@${file}`] };
      for (const [name, args] of Object.entries(ways)) {
        await session.run("curl", [...quiet, "-o", join(session.directory, "answer"), ...args, url(name)]);
        const kept = origin.uploads.get(`/${name}/${bytes}`) ?? Buffer.alloc(0);
        const start = name === "form" ? kept.indexOf("\r\n\r\n") + 4 : 0;
        expectSame(kept.subarray(start, name === "form" ? start + bytes : undefined), body, `${name} ${bytes} bytes`);
      }
    }
  } finally {
    await origin[Symbol.asyncDispose]();
  }
});
