import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { upstreamVersion } from "../src/debian.js";
import { formatBytes, markdown } from "../src/markdown.js";
import { programs } from "../src/programs/index.js";
import { type Row, readRecord, withRow } from "../src/record.js";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));

const row: Row = {
  name: "b",
  title: "B",
  version: "1",
  what: "x | y",
  result: "same",
  checks: 2,
  baseline: [],
  repeated: { plain: [], zio: [] },
  differences: [],
  counters: {
    processes: 1,
    redirectedBytes: 2048,
    elidedBytes: 0,
    translatedBytes: 0,
    faults: 0,
    zeroFaults: 0,
    fallbacks: {},
    states: {},
  },
  settings: { ZIO_POLICY: "always" },
  seconds: { plain: 1, zio: 1 },
  date: "2026-01-01",
  commit: "abc",
  machine: { cpuModel: "cpu", cores: 2, kernel: "6", distribution: "d" },
};

it("has a page that is what the record says", () => {
  const record = readRecord(`${docs}compatibility.json`);
  expect(record.rows.length).toBeGreaterThan(0);
  expect(readFileSync(`${docs}compatibility.md`, "utf8")).toBe(markdown(record));
});

it("records only programs that can be run again", () => {
  const names = programs.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name } of readRecord(`${docs}compatibility.json`).rows) expect(names).toContain(name);
});

it("replaces the row of a program and keeps the others in order", () => {
  const record = [row, { ...row, name: "a" }, { ...row, version: "2" }].reduce(withRow, {
    version: 1,
    rows: [],
  } as ReturnType<typeof withRow>);
  expect(record.rows.map(({ name, version }) => name + version)).toEqual(["a1", "b2"]);
});

it("says so where nothing was elided", () => {
  expect(markdown({ version: 1, rows: [row] })).toContain("| B | 1 | x \\| y | same, 2 checks | 2.0 KiB | nothing |");
  const explained = { ...row, elidesNothingBecause: "it copies nothing" };
  expect(markdown({ version: 1, rows: [explained] })).toContain("| nothing: it copies nothing |");
});

it("lists differences and the baseline", () => {
  const page = markdown({
    version: 1,
    rows: [
      { ...row, result: "differs", differences: ["d"], baseline: ["old"], repeated: { plain: [], zio: ["again"] } },
    ],
  });
  expect(page).toContain("| **differs** in 1 of 2 checks; 1 in the baseline |");
  expect(page).toContain("## Differences\n\n- B\n  - d\n");
  expect(page).toContain("## Baseline: what fails plain too\n\n- B\n  - old\n");
  expect(page).toContain("## Passed only when run again\n\n- B\n  - zIO: again\n");
});

it("shows the version that a program's authors gave it", () => {
  expect(upstreamVersion("5:7.0.15-1~deb12u3")).toBe("7.0.15");
  expect(upstreamVersion("1.34+dfsg-1.2+deb12u1")).toBe("1.34");
  expect([1023, 1024, 150 << 20].map(formatBytes)).toEqual(["1023 B", "1.0 KiB", "150 MiB"]);
});
