import { native } from "./load-native.js";

export { packageVersion } from "./version.js";

/** The version of the C interface that the addon was compiled with. */
export const abiVersion: number = native.abiVersion();
