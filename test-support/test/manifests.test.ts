// What every published package promises in its package.json.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const packages = join(import.meta.dirname, "../../packages");
const names = readdirSync(packages);

function manifestOf(name: string) {
  return JSON.parse(readFileSync(join(packages, name, "package.json"), "utf8"));
}

test.each(names)("%s says what it runs on, its licence, and what it exports with types", (name) => {
  const manifest = manifestOf(name);
  expect(manifest).toMatchObject({
    name: `@zio/${name}`,
    license: "MIT",
    engines: { node: ">=20" },
    sideEffects: false,
    publishConfig: { access: "public" },
  });
  expect(manifest.description.length).toBeGreaterThan(20);
  // Elsewhere it installs and does nothing: a project may depend on it.
  expect(manifest.os).toBeUndefined();
  expect(manifest.files).toContain("CHANGELOG.md");
  const entry = manifest.exports["."];
  expect([entry.import.types, entry.import.default]).toEqual(["./dist/index.d.ts", "./dist/index.js"]);
  expect([entry.require.types, entry.require.default]).toEqual(["./dist/index.d.cts", "./dist/index.cjs"]);
  for (const [path, target] of Object.entries<{ types?: string; default?: string } | string>(manifest.exports)) {
    if (path === "." || typeof target === "string") continue;
    for (const file of [target.types, target.default])
      expect(existsSync(join(packages, name, file ?? "missing"))).toBe(true);
  }
});

test.each(names.filter((name) => existsSync(join(packages, name, "binding.gyp"))))(
  "%s compiles by its own script, which does nothing where a prebuilt addon fits",
  (name) => {
    const manifest = manifestOf(name);
    expect(manifest.scripts.install).toBe("node install.cjs");
    for (const file of ["install.cjs", "prebuilds", "binding.gyp", "native"]) expect(manifest.files).toContain(file);
  },
);

test("the packages of the workspace depend on each other by compatible versions", () => {
  for (const name of names) {
    const { dependencies = {} } = manifestOf(name);
    for (const [dependency, range] of Object.entries(dependencies))
      if (dependency.startsWith("@zio/")) expect([name, dependency, range]).toEqual([name, dependency, "workspace:^"]);
  }
});
