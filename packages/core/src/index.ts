import { native } from "./load-native.js";

export { type DataPlaneErrorCode, dataPlaneErrors } from "./error-codes.js";
export { type Hole, IntervalTree, type Segment, type View } from "./interval-tree.js";
export { packageVersion } from "./version.js";
export { ZioError, type ZioErrorCode, type ZioErrorDetails } from "./zio-error.js";

/** The version of the C interface that the addon was compiled with. */
export const abiVersion: number = native.abiVersion();
