// A vitest reporter that records what scripts/test.mjs needs for its closing lines: the counts, every skip with its reason,
// and failures that belong to no test (a file that does not load, a hook, an unhandled rejection). `files` says how long
// each took, the slowest first, for who wants the suite to be faster.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, relative } from "node:path";

export default class SummaryReporter {
  constructor({ outputFile = process.env.ZIO_TEST_REPORT } = {}) {
    this.outputFile = outputFile;
  }

  onInit(vitest) {
    this.root = vitest.config.root;
  }

  onTestRunEnd(modules, unhandledErrors) {
    const report = { version: 1, passed: [], failed: [], skipped: [], files: [] };
    const outsideTests = (where, errors) => {
      for (const error of errors) report.failed.push({ name: where, message: error.message });
    };
    for (const module of modules) {
      const file = relative(this.root, module.moduleId);
      outsideTests(file, module.errors());
      report.files.push({ name: file, durationMs: Math.round(module.diagnostic().duration) });
      for (const suite of module.children.allSuites()) outsideTests(`${file} > ${suite.fullName}`, suite.errors());
      for (const test of module.children.allTests()) {
        const name = `${file} > ${test.fullName}`;
        const result = test.result();
        if (result.state === "passed") report.passed.push({ name });
        else if (result.state === "skipped") report.skipped.push({ name, reason: result.note });
        else report.failed.push({ name, message: result.errors?.[0]?.message ?? `ended in state ${result.state}` });
      }
    }
    outsideTests("unhandled error", unhandledErrors);
    report.files.sort((a, b) => b.durationMs - a.durationMs);
    mkdirSync(dirname(this.outputFile), { recursive: true });
    writeFileSync(this.outputFile, JSON.stringify(report, null, 2));
  }
}
