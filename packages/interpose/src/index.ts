import { native } from "./load-native.js";

export * from "./read-stats.js";
export { packageVersion } from "./version.js";

/** The interface version of the zIO that is active in this process, or null. */
export function activeAbiVersion(): number | null {
  return native.activeAbiVersion();
}
