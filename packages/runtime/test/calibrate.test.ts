import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultCosts, keepCosts } from "@zio/interpose";
import { afterEach, beforeEach, expect, test } from "vitest";
import { userfaultfdProblem } from "../src/doctor/userfaultfd.js";
import { runZio } from "./support/run-zio.js";

let cache: string;
let file: string;
let env: Record<string, string | undefined>;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "zio-cache-"));
  file = join(cache, "zio/costs.json");
  env = { XDG_CACHE_HOME: cache, ZIO_COSTS: undefined };
});
afterEach(() => rmSync(cache, { recursive: true }));

async function costsUnder(words: string[], variables = env): Promise<string | undefined> {
  const { stdout, stderr } = await runZio(["run", ...words, "--", "env"], { env: variables });
  expect(stderr).toBe("");
  return /^ZIO_COSTS=(.*)$/m.exec(stdout)?.[1];
}

test("a measurement is shown, and kept for what is run afterwards", async () => {
  const { status, stdout, stderr } = await runZio(["calibrate"], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: `zio: kept in ${file}\n` });
  for (const word of Object.keys(defaultCosts)) expect(stdout).toMatch(new RegExp(`^${word} .* \\d+ +\\d+$`, "m"));
  const shown = JSON.parse((await runZio(["calibrate", "--show", "--json"], { env })).stdout);
  expect(shown).toMatchObject({ version: 1, path: file, defaults: defaultCosts });
  const text = Object.entries(shown.costs).map(([word, number]) => `${word}=${number}`);
  expect((await runZio(["env"], { env })).stdout).toContain(`export ZIO_COSTS='${text}'`);
  if (!userfaultfdProblem()) expect(await costsUnder([])).toBe(text.join(","));
});

test("without a measurement the defaults are shown, and a line says so", async () => {
  const { status, stdout, stderr } = await runZio(["calibrate", "--show", "--json"], { env });
  expect(status).toBe(0);
  expect(stderr).toMatch(/nothing is kept in .*costs\.json for this machine; these are the defaults/);
  expect(JSON.parse(stdout).costs).toEqual(defaultCosts);
  expect(existsSync(file)).toBe(false);
});

test("the first run measures, and what is settled otherwise stays", async (ctx) => {
  const problem = userfaultfdProblem();
  if (problem) return ctx.skip(problem.reason);
  expect(await costsUnder(["--policy", "always"])).toBeUndefined();
  expect(await costsUnder([], { ...env, ZIO_COSTS: "" })).toBe("");
  expect(await costsUnder(["--costs", "fault=1,page=2"])).toBe("fault=1,page=2");
  expect(existsSync(file)).toBe(false);
  expect(await costsUnder([])).toMatch(/^copy=\d+,.*page=\d+$/);
  expect(existsSync(file)).toBe(true);
  keepCosts({ ...defaultCosts, page: 1234 }, file);
  expect(await costsUnder([])).toMatch(/,page=1234$/);
});

test("a cache that cannot be written costs nothing but the measurement", async () => {
  const variables = { ...env, XDG_CACHE_HOME: "/proc/nowhere" };
  expect(await costsUnder([], variables)).toBeUndefined();
});

test("a bad list is refused in one line", async () => {
  const { stdout, stderr } = await runZio(["run", "--costs", "fault=cheap", "--", "env"], { env });
  expect(stderr).toMatch(/^zio: --costs takes word=number, .*, not "fault=cheap"; doing without\n$/);
  expect(stdout).not.toMatch(/fault=cheap/);
});
