// The published rule, as `--policy paper` runs it: it ends the elision of a site for good.
import { expect, test } from "vitest";
import { zioContender } from "../src/contender.js";
import { echoSample } from "../src/echo.js";
import { orSkip } from "./support/skips.js";

const message = { messageBytes: 512 << 10, messages: 60, warmup: 0, verify: "all", seed: 1, cpus: undefined } as const;

test("under the published rule a site goes on while few pages are touched, and stops for good beyond 6 %", async (context) => {
  const sample = async (copies: number, touchedPages: number) => {
    const paper = zioContender("paper");
    const { counters } = await orSkip(context, echoSample(paper, { ...message, copies, touchedPages }));
    return counters ?? {};
  };
  // 4 pages of 4 copies of 128 pages are under one percent, 32 of one copy are a quarter.
  const few = await sample(4, 4);
  expect(few["fallbacks.backed-off"]).toBeUndefined();
  expect(few.elidedBytes).toBeGreaterThan(0.9 * 60 * 4 * message.messageBytes);
  const many = await sample(1, 32);
  expect(many["fallbacks.backed-off"]).toBeGreaterThan(40);
  expect(many.elidedBytes).toBeLessThan(15 * message.messageBytes);
});
