// Each example under the load of its own that compares every byte, and the script that measures them.
import { join } from "node:path";
import { capabilities } from "@zio/runtime";
import { runProgram } from "@zio/test-support";
import { describe, expect, test } from "vitest";
import { names, openExample, start } from "../started.mjs";

const found = capabilities();
const rounds = 3;

interface Expected {
  /** The least that must land in origins, and be elided, for each byte that is passed on. */
  redirected: number;
  elided: number;
}

/** The file server copies nothing, and the relay puts each message together once for three listeners. */
const expected: Record<string, Expected> = {
  "http-proxy": { redirected: 0.5, elided: 0 },
  "websocket-relay": { redirected: 0.2, elided: 0.2 },
  "file-server": { redirected: 0.8, elided: 0 },
};

async function runRounds(name: string, zio?: { policy: "always" | "learn" }) {
  const load = await openExample(name);
  const server = await start(load, zio);
  try {
    let bytes = 0;
    for (let round = 0; round < rounds; round++) bytes += await load.round(server.port);
    return { bytes, counters: server.stats() };
  } finally {
    await load.close();
    await server.stop();
  }
}

describe.each(names)("%s", (name) => {
  test("passes every byte on without zIO", async () => {
    expect((await runRounds(name)).bytes).toBeGreaterThan(1 << 20);
  });

  test("passes every byte on under zIO, out of origins", async ({ skip }) => {
    skip(!found.available, `no userfaultfd: ${found.available ? "" : found.reason}`);
    const { bytes, counters } = await runRounds(name, { policy: "always" });
    const { redirected, elided } = expected[name]!;
    expect(counters!.redirectedBytes / bytes).toBeGreaterThan(redirected);
    if (elided > 0) expect(counters!.elidedBytes / bytes).toBeGreaterThan(elided);
    expect(counters!.other.translatedBytes! / bytes).toBeGreaterThan(0.5);
  });

  test("passes every byte on under the default policy", async ({ skip }) => {
    skip(!found.available, `no userfaultfd: ${found.available ? "" : found.reason}`);
    const { counters } = await runRounds(name, { policy: "learn" });
    expect(counters!.processes[0]).toMatchObject({ policy: "learn" });
  });
});

test("a server told --zio starts itself again under zIO", async ({ skip }) => {
  skip(!found.available, `no userfaultfd: ${found.available ? "" : found.reason}`);
  const load = await openExample("file-server");
  const server = await start({ ...load, args: [...load.args, "--zio"] });
  try {
    await load.round(server.port);
    expect(server.mappedLibrary()).toBe(true);
  } finally {
    await load.close();
    await server.stop();
  }
});

test("the script measures both ways and says what it saw", async ({ skip }) => {
  skip(!found.available, `no userfaultfd: ${found.available ? "" : found.reason}`);
  const script = join(import.meta.dirname, "../measure.mjs");
  const words = [script, "file-server", "--pairs", "1", "--seconds", "1", "--policy", "always"];
  const { status, stdout } = await runProgram(process.execPath, words, { timeoutMs: 50_000 });
  expect(status).toBe(0);
  expect(stdout.toString()).toMatch(
    /^file-server, always: server CPU \d+\.\d+ of plain \(.*, 1 pairs\)\n {2}\d+ us plain, \d+ us under zIO .*\n {2}last run: [1-9]\d* bytes redirected/,
  );
});
