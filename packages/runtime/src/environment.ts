// The variables that put a program under zIO, for those who start it themselves.
import { type EnvironmentOptions, environment as environmentOfLibrary } from "@zio/interpose";
import { completePersistence } from "./persistence/spawn-persistence.js";

/**
 * The variables to add to a program's environment so that it runs under zIO. With `nvmPath` the pool is neither made nor
 * recovered here: the program does that when it opens the first file. Throws a ZioError for a wrong setting.
 */
export function environment(options: EnvironmentOptions = {}): Record<string, string> {
  return environmentOfLibrary({ ...options, ...completePersistence(options) });
}
