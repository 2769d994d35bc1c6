// The load client: that it finds what is wrong, and that what it counts is the server's.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { plain, programPath } from "../src/contender.js";
import { type LoadOptions, loadSample } from "../src/load.js";

/** A server in JavaScript that speaks just enough of Redis's protocol; `stale` gives back what was there before. */
const fakeRedis = `
const [port, stale] = process.argv.slice(1);
const values = new Map();
require("node:net").createServer((socket) => {
  let got = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    got = Buffer.concat([got, chunk]);
    const [, words, command, , key, length] = /^\\*(\\d)\\r\\n\\$\\d\\r\\n(\\w+)\\r\\n\\$(\\d+)\\r\\n([^\\r]*)\\r\\n(?:\\$(\\d+)\\r\\n)?/.exec(got.toString("latin1")) ?? [];
    if (command === "GET") {
      const value = values.get(key);
      socket.write(\`$\${value.length}\\r\\n\`);
      socket.write(value);
      socket.write("\\r\\n");
      got = Buffer.alloc(0);
    } else if (command === "SET" && length) {
      const head = got.indexOf(\`$\${length}\\r\\n\`, 20 + key.length) + length.length + 3;
      if (got.length < head + Number(length) + 2) return;
      if (!(stale === "stale" && values.has(key))) values.set(key, Buffer.from(got.subarray(head, head + Number(length))));
      socket.write("+OK\\r\\n");
      got = Buffer.alloc(0);
    }
  });
}).listen(Number(port), "127.0.0.1");
`;

const common = { seed: 1, cpus: undefined } as const;

function redisLike(kind: "right" | "stale", verify: LoadOptions["verify"]) {
  return loadSample(plain, {
    ...common,
    verify,
    server: (port) => [process.execPath, "-e", fakeRedis, port, kind],
    load: [
      ...["--protocol", "redis", "--value", 8192, "--keys", 3, "--operations", 60, "--warmup", 5],
      ...["--writes", 50, "--distribution", "zipfian", "--connections", 2],
    ],
  });
}

test("values that are as they were written are right, and the server's CPU time and memory are found", async () => {
  for (const verify of ["all", "sample"] as const) {
    const observed = await redisLike("right", verify);
    expect(observed).toMatchObject({ operations: 120, preparedOperations: 16, counters: null });
    expect(observed.cpuNs).toBeGreaterThan(0);
    expect(observed.residentBytes).toBeGreaterThan(1 << 20);
    const { p50, p99, max } = observed.latencyNs;
    expect(p50).toBeGreaterThan(0);
    expect(p50).toBeLessThanOrEqual(p99);
    expect(p99).toBeLessThanOrEqual(max);
  }
});

test("a value of an earlier write is wrong, whether all bytes are compared or some", async () => {
  for (const verify of ["all", "sample"] as const)
    await expect(redisLike("stale", verify)).rejects.toMatchObject({ code: "wrong-data" });
});

test("a file is compared with what it should be, in every way to send it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "zio-bench-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [file, other] = [join(directory, "file"), join(directory, "other")];
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, at) => (at * 7) % 251));
  writeFileSync(file, bytes);
  bytes[131_072] = 255;
  writeFileSync(other, bytes);
  const served = (method: string, content: string, verify: LoadOptions["verify"]) =>
    loadSample(plain, {
      ...common,
      verify,
      printsPort: true,
      server: () => [programPath("zio-file-server"), "--file", file, "--method", method],
      load: ["--protocol", "file", "--value", 200_000, "--content", content, "--operations", 5, "--warmup", 1],
    });
  for (const method of ["read", "mmap", "sendfile", "splice"])
    expect((await served(method, file, "all")).operations).toBe(5);
  for (const verify of ["all", "sample"] as const)
    await expect(served("read", other, verify)).rejects.toMatchObject({ code: "wrong-data" });
});

test("a server that does not start is an error with its words", async () => {
  const running = loadSample(plain, {
    ...common,
    verify: "all",
    server: () => ["/bin/sh", "-c", "echo no >&2; exit 3"],
  });
  await expect(running).rejects.toThrow(/sh ended with status 3: no/);
});
