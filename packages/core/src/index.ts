export { type DataPlaneErrorCode, dataPlaneErrors } from "./error-codes.js";
export { type Hole, IntervalTree, type Segment, type View } from "./interval-tree.js";
export { type AddonDescription, checkNeighbour, loadAddon } from "./load-addon.js";
export { type Platform, type PlatformProblem, platformProblem, thisPlatform } from "./platform.js";
export { abiVersion, packageVersion } from "./version.js";
export { ZioError, type ZioErrorCode, type ZioErrorDetails } from "./zio-error.js";
