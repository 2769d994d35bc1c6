import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configTable, libraryPath, preloadablePath } from "@zio/interpose";
import { runProgram } from "@zio/test-support";
import { afterEach, beforeEach, expect, test } from "vitest";
import { renderVariables } from "../src/commands/env.js";
import { runZio, zioPath } from "./support/run-zio.js";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "zio-env-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What `zio env` says where the checkout lies in a path that LD_PRELOAD cannot name. */
const aboutLink =
  preloadablePath(libraryPath()) === libraryPath()
    ? ""
    : `zio: LD_PRELOAD cannot name ${libraryPath()}: this goes through a link that is gone after a restart; ` +
      "move the package to a path without spaces and colons\n";

test("a shell that evaluates the output starts programs under zIO", async () => {
  const script = 'LD_PRELOAD=""; eval "$("$0" env --policy always --threshold 32K)"; env';
  const { stdout, stderr } = await runProgram("sh", ["-c", script, zioPath], { env: { ZIO_POLICY: undefined } });
  expect(stderr).toBe(aboutLink);
  const lines = stdout.toString().split("\n");
  expect(lines).toContain(`LD_PRELOAD=${preloadablePath(libraryPath())}`);
  expect(lines).toContain("ZIO_POLICY=always");
  expect(lines).toContain("ZIO_THRESHOLD=32K");
});

test("what is not set is a comment with its default, and every setting appears", async () => {
  const { stdout } = await runZio(["env", "--policy", "off"]);
  expect(stdout).toMatch(/^export ZIO_POLICY='off'$/m);
  expect(stdout).toMatch(/^# ZIO_THRESHOLD \(16K\): /m);
  for (const { name } of configTable) expect(stdout).toContain(name);
});

test.each([
  ["systemd", (path: string) => `Environment="LD_PRELOAD=${path}"`, 'Environment="ZIO_POLICY=always"'],
  ["docker", (path: string) => `ENV LD_PRELOAD="${path}"`, 'ENV ZIO_POLICY="always"'],
  ["dotenv", (path: string) => `LD_PRELOAD="${path}"`, 'ZIO_POLICY="always"'],
])("the format %s is that of its files", async (format, library, policy) => {
  const { stdout } = await runZio(["env", "--format", format, "--policy", "always"]);
  const lines = stdout.trimEnd().split("\n");
  expect(lines.slice(0, 2)).toEqual([library(preloadablePath(libraryPath())), policy]);
  expect(lines.slice(2).every((line) => line.startsWith("# "))).toBe(true);
});

test("special characters are quoted in each format", () => {
  const variables = { set: { ZIO_LOG: `/a b/100%/$x/"q"/it's` }, unset: [] };
  expect(renderVariables(variables, "shell")).toBe(`export ZIO_LOG='/a b/100%/$x/"q"/it'\\''s'`);
  expect(renderVariables(variables, "systemd")).toBe(`Environment="ZIO_LOG=/a b/100%%/$x/\\"q\\"/it's"`);
  expect(renderVariables(variables, "docker")).toBe(`ENV ZIO_LOG="/a b/100%/\\$x/\\"q\\"/it's"`);
  expect(renderVariables(variables, "dotenv")).toBe(`ZIO_LOG="/a b/100%/\\$x/\\"q\\"/it's"`);
});

test("--stats is a directory here, as its variable is", async () => {
  const { stdout } = await runZio(["env", "--stats", directory, "--json"]);
  expect(JSON.parse(stdout)).toEqual({
    version: 1,
    variables: { LD_PRELOAD: preloadablePath(libraryPath()), ZIO_STATS: directory },
  });
  const { stderr } = await runZio(["env", "--stats", join(directory, "missing")]);
  expect(stderr.replace(aboutLink, "")).toMatch(
    /^zio: --stats cannot use .*: there is no such directory; doing without\n$/,
  );
});

test("an unknown format is one line that names the formats", async () => {
  const { status, stderr } = await runZio(["env", "--format", "yaml"]);
  expect(status).toBe(2);
  expect(stderr).toMatch(/^zio: .*'yaml' is invalid. Allowed choices are shell, systemd, docker, dotenv.*\n$/);
});
