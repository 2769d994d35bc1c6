import { getuid } from "node:process";
import { expect, test } from "vitest";
import { capabilities, type KernelFeature } from "../src/index.js";

test("what is available is said together with the way it was opened and what is missing", ({ skip }) => {
  const found = capabilities({ disable: [] });
  if (!found.available) {
    expect(found.reason.length).toBeGreaterThan(10);
    expect(found.fix.length).toBeGreaterThan(10);
    return skip(`no userfaultfd: ${found.reason}`);
  }
  expect(["device", "syscall"]).toContain(found.openedBy);
  expect(found.kernel).toMatch(/^\d+\.\d+/);
  expect(found.disabled).toEqual([]);
});

test("root on Linux 6.11 or newer lacks nothing", ({ skip }) => {
  const found = capabilities({ disable: [] });
  const [major = 0, minor = 0] = found.kernel.split(".").map(Number);
  if (getuid?.() !== 0 || !found.available) skip("needs root and userfaultfd");
  if (major * 100 + minor < 611) skip(`this is Linux ${found.kernel}`);
  expect(found).toMatchObject({ available: true, missing: [] });
});

test("a masked userfaultfd is unavailable, with the reason and the fix apart", () => {
  const found = capabilities({ disable: ["userfaultfd"] });
  expect(found).toMatchObject({
    available: false,
    disabled: ["userfaultfd"],
    reason: "userfaultfd is masked by ZIO_DISABLE",
    fix: "remove it from the list",
    errors: { device: "ENOSYS", syscall: "ENOSYS" },
  });
});

test("masked features are missing, and what that loses is said", ({ skip }) => {
  const disable: KernelFeature[] = ["move", "poison", "procmap-query", "thread-id"];
  const found = capabilities({ disable });
  if (!found.available) return skip(`no userfaultfd: ${found.reason}`);
  expect(found.missing.map(({ feature }) => feature).sort()).toEqual([...disable].sort());
  for (const { lost } of found.missing) expect(lost).not.toBe("");
});

test("ZIO_DISABLE is the default mask, and a bad one counts as empty", () => {
  const before = process.env.ZIO_DISABLE;
  try {
    process.env.ZIO_DISABLE = "userfaultfd,move";
    expect(capabilities().disabled.sort()).toEqual(["move", "userfaultfd"]);
    process.env.ZIO_DISABLE = "userfoultfd";
    expect(capabilities().disabled).toEqual([]);
  } finally {
    if (before === undefined) delete process.env.ZIO_DISABLE;
    else process.env.ZIO_DISABLE = before;
  }
});

test("a word that names no feature is a RangeError that lists the known ones", () => {
  expect(() => capabilities({ disable: ["moev" as KernelFeature] })).toThrow(/moev.*known are userfaultfd, device/);
});
