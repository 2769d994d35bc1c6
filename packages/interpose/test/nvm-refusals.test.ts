// Pools and providers that cannot be used: files that should be logged are refused, and one line says why.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPool, Pool } from "@zio/nvm";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { preloadableLibrary } from "./support/both-ways.js";
import { poolVariables } from "./support/logged-files.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-refusals-"));
  writeFileSync(join(directory, "old.log"), "old\n");
  writeFileSync(join(directory, "plain"), "plain\n");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** What `cat` of the file under zIO prints, and the lines of ZIO_LOG. */
async function show(file: string, variables: Record<string, string>) {
  const log = join(directory, "messages");
  writeFileSync(log, "");
  const { stdout, stderr, status } = await runProgram("cat", [join(directory, file)], {
    env: { ...variables, ZIO_LOG: log, LC_ALL: "C", LD_PRELOAD: await preloadableLibrary() },
  });
  const lines = readFileSync(log, "utf8").split("\n").filter(Boolean);
  return { stdout: stdout.toString(), stderr: stderr.toString(), status, lines };
}

test("a file that no pattern names needs no pool", async () => {
  const { stdout, lines } = await show("plain", poolVariables("/nonexistent/pool"));
  expect(stdout).toBe("plain\n");
  expect(lines).toEqual([]);
});

test("a pool that is there is used", async () => {
  const { stdout, lines } = await show("old.log", poolVariables(join(directory, "pool")));
  expect(stdout).toBe("old\n");
  expect(lines).toEqual([]);
});

test.each([
  ["a pool that cannot be made", "/nonexistent/pool", {}],
  ["a provider that is not there", undefined, { ZIO_NVM_PROVIDER: "/nonexistent/provider.so" }],
  ["no provider", undefined, { ZIO_NVM_PROVIDER: "" }],
])("%s: opening fails with EIO, and one line says why", async (_, pool, variables) => {
  const { stdout, stderr, status, lines } = await show("old.log", {
    ...poolVariables(pool ?? join(directory, "pool")),
    ...variables,
  });
  expect(stdout).toBe("");
  expect(stderr).toMatch(/Input\/output error/);
  expect(status).toBe(1);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^zio: files are refused: /);
});

test("what is no pool is refused, and stays as it is", async () => {
  const path = join(directory, "pool");
  writeFileSync(path, "precious\n".repeat(100_000));
  const { status, lines } = await show("old.log", poolVariables(path));
  expect(status).toBe(1);
  expect(lines).toEqual([expect.stringMatching(/^zio: files are refused: .*not a pool/)]);
  expect(readFileSync(path, "utf8")).toBe("precious\n".repeat(100_000));
});

test("a pool that another tree has is refused with EBUSY", async () => {
  const path = join(directory, "pool");
  mkdirSync(join(directory, "sub"));
  await createPool(path, { sizeBytes: 16 * 1024 ** 2 });
  const pool = await Pool.open(path);
  try {
    const { stderr, status, lines } = await show("old.log", { ...poolVariables(path), ZIO_NVM_TREE: "another" });
    expect(stderr).toMatch(/Device or resource busy/);
    expect(status).toBe(1);
    expect(lines[0]).toContain(`in use by another process ${process.pid}`);
  } finally {
    await pool.close();
  }
  expect((await show("old.log", poolVariables(path))).stdout).toBe("old\n");
});
