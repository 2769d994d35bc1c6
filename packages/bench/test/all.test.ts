// A set of runs as `zio bench all` makes it, in little time. Never their speed.
import { expect, test } from "vitest";
import { commandOf, overviewRuns, runSet, setReport } from "../src/all.js";
import { requireProgram } from "../src/programs.js";
import { noProgress } from "../src/progress.js";
import { workloads } from "../src/run.js";

const options = { minutes: 0, policy: "learn", withPaper: false } as const;

test("every workload has a form for the overview", () => {
  expect(overviewRuns().map(({ workload }) => workload)).toEqual(workloads.map(({ name }) => name));
  expect(commandOf({ workload: "sizes", options: { messageBytes: [8, 16], withPaper: true } })).toEqual([
    ...["zio", "bench", "sizes", "--message-bytes", "8,16", "--with-paper"],
  ]);
});

test("a set without time takes one pair of each, and goes on after one that fails", async () => {
  const planned = [
    { workload: "primitives", options: { rounds: 3 } },
    { workload: "python", options: { interpreter: "/bin/false" } },
    { workload: "primitives", options: { rounds: 3 }, experiment: "again" },
  ];
  const set = await runSet(planned, options, noProgress, ["zio", "bench", "all"]);
  expect(set.records.map(({ workload, experiment }) => [workload, experiment])).toEqual([
    ["primitives", undefined],
    ["primitives", "again"],
  ]);
  for (const { options: used } of set.records) expect(used.pairs).toBe(1);
  expect(set.failed).toEqual([{ what: "python", reason: expect.stringContaining("/bin/false") }]);
  expect(setReport(set)).toContain("failed   python: ");
});

test("a program that is missing is named with the package to install", () => {
  expect(requireProgram("sh", "dash")).toMatch(/\/sh$/);
  expect(() => requireProgram("zio-no-such-program", "its-package")).toThrow(
    expect.objectContaining({
      code: "missing-program",
      message: "zio-no-such-program is not installed: apt-get install its-package",
    }),
  );
});
