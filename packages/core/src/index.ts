import { native } from "./load-native.js";

export { packageVersion } from "./version.js";
export { ZioError, type ZioErrorDetails } from "./zio-error.js";

/** The version of the C interface that the addon was compiled with. */
export const abiVersion: number = native.abiVersion();
