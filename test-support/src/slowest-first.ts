// The order of the test files: those that take longest come first, so that none of them runs alone at the end. A checkout
// that was just made remembers no durations. To bring the list up to date: `files` of build/test-report.json.
import { BaseSequencer, type TestSpecification } from "vitest/node";

const slowest = [
  "packages/interpose/test/random-programs.test.ts",
  "packages/fault-handler/test/native.test.ts",
  "packages/runtime/test/sanitised.test.ts",
  "packages/interpose/test/sanitized.test.ts",
  "packages/nvm/test/native.test.ts",
  "packages/core/test/native.test.ts",
  "packages/interpose/test/handlers.test.ts",
  "test-support/test/readme-examples.test.ts",
  "packages/nvm/test/crashes.test.ts",
  "packages/bench/test/other-programs.test.ts",
  "packages/interpose/test/apps/redis-persistence.test.ts",
  "packages/interpose/test/splits.test.ts",
  "packages/interpose/test/streams.test.ts",
  "packages/interpose/test/forks.test.ts",
  "packages/interpose/test/limits.test.ts",
];

const rankOf = ({ moduleId }: TestSpecification) => {
  const rank = slowest.findIndex((name) => moduleId.endsWith(`/${name}`));
  return rank < 0 ? slowest.length : rank;
};

export default class SlowestFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    return (await super.sort(specifications)).sort((left, right) => rankOf(left) - rankOf(right));
  }
}
