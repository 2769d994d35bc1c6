import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compileC, runProgram } from "@zio/test-support";
import { expect, test } from "vitest";
import { adapters, headerPath } from "../src/index.js";

const interpose = join(import.meta.dirname, "../../interpose");

/** The names of the flags in the header, as this package writes them. */
const flags = [...readFileSync(headerPath, "utf8").matchAll(/^ {2}ZIO_IO_([A-Z_]+) = 1 << (\d+),$/gm)].map(
  ([, name = "", bit]) => ({ name: name.toLowerCase().replaceAll("_", "-"), bit: 2 ** Number(bit) }),
);

test("the kernel's adapter exists, with the capabilities that its table claims", async () => {
  const program = await compileC({
    sources: [
      join(import.meta.dirname, "native/kernel_table.c"),
      ...["kernel_stack.c", "hooks/real.c", "unit_core.c"].map((name) => join(interpose, "native", name)),
    ],
    includes: [join(interpose, "native"), ...["include", "native"].map((name) => join(interpose, "../core", name))],
    libs: ["dl"],
  });
  const { status, stdout, stderr } = await runProgram(program);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const [name, claimed] = stdout.toString().trim().split(" ");
  const kernel = adapters().find((each) => each.available);
  expect(kernel).toMatchObject({ name, providedBy: "libzio.so" });
  expect(flags.length).toBeGreaterThan(4);
  const names = flags.filter(({ bit }) => Number(claimed) & bit).map((flag) => flag.name);
  expect(kernel!.available && kernel!.capabilities).toEqual(names);
});

test("an adapter that does not exist has a reason and no capabilities", () => {
  const absent = adapters().filter((each) => !each.available);
  expect(absent.map(({ name }) => name)).toEqual(["shm", "lwip", "tas"]);
  for (const each of absent) {
    expect(each.reason).toMatch(/not implemented/);
    expect(each).not.toHaveProperty("capabilities");
  }
});

test("the list is the caller's own", () => {
  adapters()[0]!.purpose = "changed";
  expect(adapters()[0]!.purpose).not.toBe("changed");
});
