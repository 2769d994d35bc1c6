export { capabilities, type NoPlaceForPools, type PlaceForPools } from "./capabilities.js";
export { command } from "./command.js";
export { headerPath } from "./header-path.js";
export { inspectPool, type PoolReport, salvagePool } from "./inspect.js";
export type { FileReport, FlushMethod, Medium, PoolStats, Recovery } from "./native-types.js";
export { type CreateOptions, createPool, type OpenOptions, Pool } from "./pool.js";
export { PoolError, type PoolProblemKind } from "./pool-error.js";
export { type LogRange, PoolLog } from "./pool-log.js";
export { abiVersion, packageVersion } from "./version.js";
