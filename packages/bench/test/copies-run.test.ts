// A small real run: its structure, its data and that zIO did something. Never its speed.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type CopiesRecord, run } from "../src/index.js";
import { writeJson } from "../src/output.js";
import { orSkip } from "./support/skips.js";

test("a small run verifies, interleaves, elides and leaves a record that JSON keeps", async (context) => {
  const options = { copies: [2], pairs: 2, messages: 30, warmup: 10, verifyMessages: 10, policy: "always" } as const;
  const steps: string[] = [];
  const progress = { step: (text: string) => void steps.push(text), end: () => {} };
  const record = await orSkip(context, run("copies", { ...options, copies: [...options.copies] }, { progress }));

  expect(record).toMatchObject({ version: 1, workload: "copies", command: ["zio", "bench", "copies"] });
  const settings = record.cells.map(({ parameters: { copies, inTurn } }) => ({ copies, inTurn }));
  expect(settings).toEqual([{ copies: 0 }, { copies: 2 }, { copies: 0, inTurn: 2 }]);
  expect(record.rows.map(({ copies }) => copies)).toEqual([0, 2]);
  expect(record.rows[1]?.recoverable?.median).toBeTypeOf("number");
  for (const cell of record.cells) {
    expect(cell.verified).toEqual(["plain", "zio"]);
    expect(cell.samples.map(({ contender }) => contender)).toEqual(["plain", "zio", "zio", "plain"]);
    for (const { contender, values } of cell.samples) {
      expect(values.server).toMatchObject({ messages: 30, warmupMessages: 10, truncatedMessages: 0 });
      expect(values.client).toMatchObject({ messages: 30, wrongMessages: 0 });
      expect(values.server.cpuNs).toBeGreaterThan(0);
      if (contender === "plain") expect(values.counters).toBeNull();
    }
  }
  // At least nine of ten bytes that were copied became views; fringes and the first message may not.
  const elided = record.cells[1]!.samples.flatMap(({ values }) => values.counters?.elidedBytes ?? []);
  for (const bytes of elided) expect(bytes).toBeGreaterThan(0.9 * 40 * 2 * (512 << 10));
  expect(elided).toHaveLength(2);
  expect(record.contenders[1]?.environment).toMatchObject({ ZIO_POLICY: "always" });
  expect(steps.join("\n")).toContain("pair 2 of 2");

  const directory = mkdtempSync(join(tmpdir(), "zio-bench-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  writeJson(record, join(directory, "record.json"));
  expect(JSON.parse(readFileSync(join(directory, "record.json"), "utf8")) as CopiesRecord).toEqual(record);
});
