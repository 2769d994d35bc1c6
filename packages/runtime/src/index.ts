export { ZioError } from "@zio/core";
export { type EnvironmentOptions, environment, type Settings } from "@zio/interpose";
export type { Check } from "./doctor/check.js";
export { type Diagnosis, doctor } from "./doctor/doctor.js";
export { type ChildStats, type StatsSample, spawn, type ZioChildProcess, type ZioSpawnOptions } from "./spawn.js";
export type { Counters, NamedCounter, ProcessRecord, RunRecord } from "./stats/record.js";
export { packageVersion } from "./version.js";
