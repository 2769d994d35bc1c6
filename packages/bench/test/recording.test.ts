// What `zio bench record` runs and writes. Never its speed.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readRecords } from "../src/output.js";
import { paperExperiments } from "../src/paper-experiments.js";
import { noProgress } from "../src/progress.js";
import { planRecording, recordInto } from "../src/recording.js";
import { workloads } from "../src/run.js";

test("every workload is recorded once at its full parameters, and each experiment of the paper has a run", () => {
  const { runs, shared } = planRecording();
  const own = runs.filter(({ experiment }) => experiment === undefined);
  expect(own.map(({ workload }) => workload)).toEqual(workloads.map(({ name }) => name));
  const wanted = own.flatMap(({ options }) => Object.keys(options));
  expect(wanted.filter((name) => !/^with(Paper|Bounds)$/.test(name))).toEqual([]);
  const experiments = [...runs.flatMap(({ experiment }) => experiment ?? []), ...shared.values()];
  expect(experiments.sort()).toEqual(paperExperiments.flatMap(({ id, run }) => (run ? [id] : [])).sort());
  expect([...shared.values()]).toEqual(expect.arrayContaining(["copies", "faults", "file-server"]));
});

test("each record is written when it is there, and the experiments of the paper into one file", async () => {
  const directory = mkdtempSync(join(tmpdir(), "zio-recording-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const plan = {
    runs: [
      { workload: "primitives", options: { rounds: 3 } },
      { workload: "startup", options: { runs: 2 }, experiment: "quick" },
      { workload: "python", options: { interpreter: "/bin/false" } },
    ],
    shared: new Map<string, string>(),
  };
  const options = { minutes: 0, policy: "learn", withPaper: false } as const;
  const { failed } = await recordInto(directory, options, noProgress, ["zio", "bench", "record"], plan);
  expect(failed.map(({ what }) => what)).toEqual(["python"]);
  expect(readdirSync(directory).sort()).toEqual(["paper.json", "primitives.json"]);
  expect(readRecords(join(directory, "primitives.json"))[0]).not.toHaveProperty("experiment");
  expect(readRecords(join(directory, "paper.json"))[0]).toMatchObject({ workload: "startup", experiment: "quick" });
});
