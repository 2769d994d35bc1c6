export { type PlannedRun, type RunSet, runSet, type SetOptions } from "./all.js";
export { BenchError, type BenchErrorCode } from "./bench-error.js";
export { command } from "./command.js";
export { type ComparedRecords, type ComparedRow, compareRecords, type Verdict } from "./compare.js";
export type { ComparisonRow } from "./comparison.js";
export { type Contender, type Policy, policies } from "./contender.js";
export { type ClientReport, type EchoOptions, type EchoSample, echoSample, type ServerReport } from "./echo.js";
export type { BothSpreads, EchoRow, EchoSettings, SweepOptions } from "./echo-sweep.js";
export type { Figure, FigureRow } from "./figure.js";
export { htmlPage } from "./html-page.js";
export { type Latencies, type LoadOptions, loadSample, type Observation } from "./load.js";
export { type CpuPair, chooseCpus, type MachineFacts, machineFacts } from "./machine.js";
export { type RecordSet, readRecords } from "./output.js";
export { plotSvg } from "./plot.js";
export { type Progress, stderrProgress } from "./progress.js";
export type { BenchRecord, Commit, RawSample, RecordedCell, Target } from "./record.js";
export type { RemoteServer } from "./remote.js";
export { type RunTools, run, type WorkloadName, type WorkloadTypes, workloads } from "./run.js";
export { type Cell, interleave, type Slot } from "./schedule.js";
export { type Estimate, estimateMedian, median, quantile, type Spread, spread } from "./statistics.js";
export { packageVersion } from "./version.js";
export type { Workload } from "./workload.js";
export type { AofOptions, AofPhase, AofRecord, AofRow, AofSettings } from "./workloads/aof.js";
export type { ApisOptions, ApisRecord, ApisRow, ApisSettings } from "./workloads/apis.js";
export type { CopiesOptions, CopiesRecord, CopiesRow } from "./workloads/copies.js";
export type { FaultsOptions, FaultsRecord, FaultsRow } from "./workloads/faults.js";
export type { ForwardOptions, ForwardRecord } from "./workloads/forward.js";
export type { GrpcOptions, GrpcRecord, GrpcRow, GrpcSettings } from "./workloads/grpc.js";
export type { MemoryOptions, MemoryRecord, MemoryRow, MemorySample } from "./workloads/memory.js";
export type { PrimitivesOptions, PrimitivesRecord, PrimitivesRow, PrimitivesSample } from "./workloads/primitives.js";
export type {
  RecoveryMedium,
  RecoveryOptions,
  RecoveryRecord,
  RecoveryRow,
  RecoverySample,
} from "./workloads/recovery.js";
export type { RedisMix, RedisOptions, RedisRecord, RedisRow, RedisSettings, RedisStore } from "./workloads/redis.js";
export type { SizesOptions, SizesRecord, SizesRow } from "./workloads/sizes.js";
export type { SmallOptions, SmallRecord, SmallSettings } from "./workloads/small.js";
export type { StartupOptions, StartupRecord, StartupRow, StartupSample, StartupSettings } from "./workloads/startup.js";
export type { ThreadsOptions, ThreadsRecord, ThreadsRow, ThreadsSettings } from "./workloads/threads.js";
export type { TouchedOptions, TouchedRecord, TouchedRow } from "./workloads/touched.js";
