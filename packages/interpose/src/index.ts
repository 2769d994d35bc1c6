import { platformProblem } from "@zio/core";
import { native } from "./load-native.js";

export {
  type Cost,
  type Costs,
  calibrate,
  costsFor,
  costsOfThisMachine,
  costsPath,
  defaultCosts,
  keepCosts,
  keptCosts,
} from "./calibrate.js";
export {
  type ConfigVariable,
  configVariable,
  describeValues,
  formatSize,
  parseSize,
  problemWithValue,
} from "./config.js";
export { configTable, type Settings } from "./config-table.js";
export { type EnvironmentOptions, environment, joinPatterns, preloadWith, settingVariables } from "./environment.js";
export {
  type BenchProgram,
  benchProgramPath,
  demoProgramPath,
  launcherPath,
  libraryPath,
  preloadablePath,
} from "./library-path.js";
export {
  type CounterKind,
  readStatsDirectory,
  readStatsPage,
  type StatsDirectory,
  type StatsPage,
} from "./read-stats.js";
export { type ProcessImage, replaceProcess } from "./replace-process.js";
export { abiVersion, packageVersion } from "./version.js";

/** The interface version of the zIO that is active in this process, or null; null too where zIO cannot work. */
export function activeAbiVersion(): number | null {
  return platformProblem() ? null : native().activeAbiVersion();
}
