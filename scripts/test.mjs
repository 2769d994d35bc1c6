// `npm test`: sets up, runs the tests of all packages and closes with the line "N passed, N failed, N skipped".
// Arguments go to vitest (`npm test -- packages/core -t arena`). With ZIO_SKIPS_FAIL=1 a skipped test fails the run.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment, root } from "./environment.mjs";
import { setUpOrExit } from "./setup.mjs";

const vitestArguments = process.argv.slice(2);
await setUpOrExit();

const reportFile = join(root, "build/test-report.json");
rmSync(reportFile, { force: true });
const { env, dispose } = childEnvironment({ ZIO_TEST_REPORT: reportFile });
// Reporters that are asked for take the place of the configured ones, of which the closing lines need one.
const reporter = vitestArguments.some((argument) => /^--reporter\b/.test(argument))
  ? [`--reporter=${join(root, "scripts/summary-reporter.mjs")}`]
  : [];
const words = [join(root, "node_modules/vitest/vitest.mjs"), "run", ...vitestArguments, ...reporter];
const vitest = spawnSync(process.execPath, words, {
  cwd: root,
  env,
  stdio: ["ignore", "inherit", "inherit"],
});
dispose();

const report = existsSync(reportFile)
  ? JSON.parse(readFileSync(reportFile, "utf8"))
  : { passed: [], failed: [{ name: "vitest", message: "ended without a report" }], skipped: [] };

// Tests that a filter left out are no skips: nobody gave a reason because nobody wanted them.
const filtered = vitestArguments.some((argument) => /^(-t|--testNamePattern)/.test(argument));
const skipped = filtered ? report.skipped.filter(({ reason }) => reason) : report.skipped;

for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason ?? "no reason given"}`);
for (const { name, message } of report.failed) console.log(`failed: ${name}: ${String(message).split("\n")[0]}`);
const skipsFail = process.env.ZIO_SKIPS_FAIL === "1" && skipped.length > 0;
const noTests = report.passed.length + report.failed.length === 0;
if (skipsFail) console.log("ZIO_SKIPS_FAIL=1: the skipped tests above count as a failure of this run");
if (noTests) console.log("no test ran");
console.log(`${report.passed.length} passed, ${report.failed.length} failed, ${skipped.length} skipped`);
process.exitCode = report.failed.length > 0 || skipsFail || noTests || vitest.status !== 0 ? 1 : 0;
