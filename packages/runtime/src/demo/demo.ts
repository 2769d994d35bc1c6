// The comparison that `zio demo` shows: each program plain and under zIO in turn, so that what else the machine does
// meets both alike, and the median of the rounds.
import { platformProblem, ZioError } from "@zio/core";
import type { Settings } from "@zio/interpose";
import { addressSpaceProblem } from "../doctor/machine-checks.js";
import { userfaultfdProblem } from "../doctor/userfaultfd.js";
import { type Measurement, type Sample, sampleOf, type Way } from "./contender.js";
import { measureEcho, messageBytes } from "./echo.js";
import { measureRedis, redisServerPath, valueBytes } from "./redis.js";

const echoCopies = [0, 4, 8];
const echoMessages = 300;
const redisPairs = 150;
const rounds = 3;
/** No further round is begun after this time; the demo is to end within 20 s. */
const lastRoundMs = 11_000;

export interface Case {
  name: string;
  messageBytes: number;
  /** Copies that the program makes of each message, where that is known. */
  copies: number | undefined;
  samples: Sample[];
}

export interface DemoResult {
  version: 1;
  /** Why the programs ran plain only; undefined where zIO could work. */
  problem: string | undefined;
  cases: Case[];
}

interface Planned extends Case {
  measure: (env: NodeJS.ProcessEnv) => Promise<Measurement>;
}

function plannedCases(): Planned[] {
  const cases: Planned[] = echoCopies.map((copies) => ({
    name: `echo, ${copies} copies`,
    messageBytes,
    copies,
    samples: [],
    measure: (env) => measureEcho(copies, echoMessages, env),
  }));
  const redis = redisServerPath();
  if (redis === undefined) return cases;
  const measure = (env: NodeJS.ProcessEnv) => measureRedis(redis, redisPairs, env);
  return [...cases, { name: "Redis SET+GET", messageBytes: valueBytes, copies: undefined, samples: [], measure }];
}

/** Runs the comparison; `progress` is told what comes next. */
export async function runDemo(settings: Settings, progress: (text: string) => void): Promise<DemoResult> {
  const platform = platformProblem();
  if (platform) throw new ZioError(`${platform.reason}; ${platform.fix}`, { code: "UNSUPPORTED_PLATFORM" });
  const problem = userfaultfdProblem() ?? addressSpaceProblem();
  const ways: Way[] = problem ? ["plain"] : ["plain", "zio"];
  const cases = plannedCases();
  const startMs = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round > 0 && performance.now() - startMs > lastRoundMs) break;
    for (const planned of cases) {
      for (const way of ways) {
        progress(`round ${round + 1} of ${rounds}: ${planned.name}, ${way === "zio" ? "under zIO" : "plain"}`);
        planned.samples.push(await sampleOf(way, settings, planned.measure));
      }
    }
  }
  return {
    version: 1,
    problem: problem && `${problem.reason}; ${problem.fix}`,
    cases: cases.map(({ measure: _, ...measured }) => measured),
  };
}
