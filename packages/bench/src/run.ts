// The workloads by name, and the API that runs one.
import { BenchError } from "./bench-error.js";
import { noProgress, type Progress } from "./progress.js";
import type { Workload } from "./workload.js";
import { type AofOptions, type AofRecord, aof } from "./workloads/aof.js";
import { type ApisOptions, type ApisRecord, apis } from "./workloads/apis.js";
import { type CopiesOptions, type CopiesRecord, copies } from "./workloads/copies.js";
import { type FaultsOptions, type FaultsRecord, faults } from "./workloads/faults.js";
import { type ForwardOptions, type ForwardRecord, nodeForward, pythonForward } from "./workloads/forward.js";
import { type GrpcOptions, type GrpcRecord, grpc } from "./workloads/grpc.js";
import { type MemoryOptions, type MemoryRecord, memory } from "./workloads/memory.js";
import { type PrimitivesOptions, type PrimitivesRecord, primitives } from "./workloads/primitives.js";
import { type RecoveryOptions, type RecoveryRecord, recovery } from "./workloads/recovery.js";
import { type RedisOptions, type RedisRecord, redis } from "./workloads/redis.js";
import { type SizesOptions, type SizesRecord, sizes } from "./workloads/sizes.js";
import { type SmallOptions, type SmallRecord, small } from "./workloads/small.js";
import { type StartupOptions, type StartupRecord, startup } from "./workloads/startup.js";
import { type ThreadsOptions, type ThreadsRecord, threads } from "./workloads/threads.js";
import { type TouchedOptions, type TouchedRecord, touched } from "./workloads/touched.js";

/** What each workload takes and returns. */
export interface WorkloadTypes {
  copies: { options: CopiesOptions; record: CopiesRecord };
  sizes: { options: SizesOptions; record: SizesRecord };
  faults: { options: FaultsOptions; record: FaultsRecord };
  touched: { options: TouchedOptions; record: TouchedRecord };
  threads: { options: ThreadsOptions; record: ThreadsRecord };
  small: { options: SmallOptions; record: SmallRecord };
  redis: { options: RedisOptions; record: RedisRecord };
  aof: { options: AofOptions; record: AofRecord };
  recovery: { options: RecoveryOptions; record: RecoveryRecord };
  memory: { options: MemoryOptions; record: MemoryRecord };
  apis: { options: ApisOptions; record: ApisRecord };
  python: { options: ForwardOptions; record: ForwardRecord };
  node: { options: ForwardOptions; record: ForwardRecord };
  grpc: { options: GrpcOptions; record: GrpcRecord };
  startup: { options: StartupOptions; record: StartupRecord };
  primitives: { options: PrimitivesOptions; record: PrimitivesRecord };
}
export type WorkloadName = keyof WorkloadTypes;

/** Every workload, in the order in which they are listed. A further one is a file in workloads/ and a line here. */
// biome-ignore lint/suspicious/noExplicitAny: each has options of its own, which `run` gives back their types
export const workloads: readonly Workload<any>[] = [
  copies,
  sizes,
  threads,
  faults,
  touched,
  small,
  redis,
  aof,
  recovery,
  memory,
  startup,
  apis,
  pythonForward,
  nodeForward,
  grpc,
  primitives,
];

// biome-ignore lint/suspicious/noExplicitAny: see above
export function workloadNamed(name: string): Workload<any> {
  const workload = workloads.find((candidate) => candidate.name === name);
  if (!workload) throw new BenchError("unknown-workload", `no workload is called ${name}`);
  return workload;
}

export interface RunTools {
  progress?: Progress;
  /** What the record says to type to get it again. */
  command?: string[];
}

/** Runs a workload; options that are left out have the defaults of its command. */
export async function run<Name extends WorkloadName>(
  name: Name,
  options: Partial<WorkloadTypes[Name]["options"]> = {},
  { progress = noProgress, command = ["zio", "bench", name] }: RunTools = {},
): Promise<WorkloadTypes[Name]["record"]> {
  const workload = workloadNamed(name);
  const record = await workload.run({ ...workload.defaults, ...options }, progress, command);
  return record as WorkloadTypes[Name]["record"];
}
