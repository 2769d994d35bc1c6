export {
  type Available,
  type Capabilities,
  type CapabilitiesOptions,
  capabilities,
  type KernelFeature,
  type Unavailable,
} from "./capabilities.js";
export {
  LazyBuffer,
  type LazyBufferFailure,
  type LazyBufferOptions,
  type LazyBufferStats,
  type LazyFileOptions,
  type LazyMemoryOptions,
} from "./lazy-buffer.js";
export type { LazyFile, LazyMemorySource } from "./lazy-source.js";
export { allowedSeccompFilters, seccompFilters } from "./seccomp.js";
export { abiVersion, packageVersion } from "./version.js";
