// The storage provider: libzio-nvm.so, as it is loaded into a program. See test/native/provider_test.c.
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { providerPath } from "../src/index.js";

const core = join(import.meta.dirname, "../../core");

test.each(["/dev/shm", tmpdir()])(
  "a program loads the provider and follows files by its table, in %s",
  async (place) => {
    const program = await compileC({
      sources: [join(import.meta.dirname, "native/provider_test.c")],
      includes: [join(core, "include")],
      flags: ["-ldl"],
    });
    const { status, stderr } = await runProgram(program, [providerPath(), place]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  },
);

test("the provider exports its table alone and needs no library", () => {
  const listed = execFileSync("nm", ["--dynamic", "--format=just-symbols", providerPath()], { encoding: "utf8" });
  expect(listed.trim().split("\n")).toEqual(["zio_storage"]);
  expect(execFileSync("readelf", ["--dynamic", providerPath()], { encoding: "utf8" })).not.toContain("(NEEDED)");
});
