import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const native = join(import.meta.dirname, "../native");

test("the unit file includes every C source of the package but core's", () => {
  const unit = readFileSync(join(native, "zio_nvm_unit.c"), "utf8");
  const included = [...unit.matchAll(/^#include "(.*\.c)"$/gm)].map((match) => match[1]);
  const sources = readdirSync(native).filter(
    (name) => name.endsWith(".c") && name !== "zio_nvm_unit.c" && name !== "unit_core.c",
  );
  expect(included.sort()).toEqual(sources.sort());
});
