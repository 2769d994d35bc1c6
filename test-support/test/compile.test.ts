import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { compileC, runProgram } from "../src/index.js";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "zio compile:"));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

test("a program is compiled once until a header changes", async () => {
  const source = join(directory, "answer.c");
  await writeFile(source, '#include "answer.h"\nint main(void) { return ANSWER; }\n');
  await writeFile(join(directory, "answer.h"), "#define ANSWER 3\n");
  const first = await compileC({ sources: [source] });
  expect(await compileC({ sources: [source] })).toBe(first);
  expect(await runProgram(first)).toMatchObject({ status: 3 });
  await writeFile(join(directory, "answer.h"), "#define ANSWER 4\n");
  expect(await runProgram(await compileC({ sources: [source] }))).toMatchObject({ status: 4 });
});

test("a sanitizer finds an overflow", async () => {
  const source = join(directory, "overflow.c");
  await writeFile(
    source,
    "#include <stdlib.h>\nint main(int argc, char **argv) { char *p = malloc(argc); (void)argv; p[argc] = 1; int r = p[argc]; free(p); return r; }\n",
  );
  const result = await runProgram(await compileC({ sources: [source], sanitizers: ["address", "undefined"] }));
  expect(result.stderr).toContain("heap-buffer-overflow");
});

test("a compiler error is shown", async () => {
  const source = join(directory, "broken.c");
  await writeFile(source, "int main(void) { return missing; }\n");
  await expect(compileC({ sources: [source] })).rejects.toThrow("missing");
});
