import { join } from "node:path";
import { runProgram } from "@zio/test-support";
import { expect, test } from "vitest";

const library = join(import.meta.dirname, "../build/Release/libzio.so");

test("libzio.so needs the C library only", async () => {
  const { stdout } = await runProgram("readelf", ["-d", library]);
  const needed = [...stdout.toString().matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]);
  for (const name of needed) expect(name).toMatch(/^(libc|ld-linux-.*|libdl|libpthread)\.so\.\d+$/);
});
