import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { headerPath } from "../src/index.js";

test("a program compiles against the header that headerPath names", async () => {
  const directory = await mkdtemp(join(tmpdir(), "zio-header-"));
  try {
    const source = join(directory, "program.c");
    await writeFile(source, "#include <zio/storage.h>\nint main(void) { return ZIO_STORAGE_ABI_VERSION - 1; }\n");
    const program = await compileC({ sources: [source], includes: [join(dirname(headerPath), "..")] });
    expect(await runProgram(program)).toMatchObject({ status: 0 });
  } finally {
    await rm(directory, { recursive: true });
  }
});
