import { getSystemErrorName } from "node:util";
import { ZioError } from "@zio/core";
import { native } from "./load-native.js";

export interface ProcessImage {
  path: string;
  /** With the name of the program as the first. */
  words: string[];
  environment: Record<string, string | undefined>;
  /** Descriptors that stay open although Node has them closed when it becomes another program. */
  keptDescriptors?: number[];
}

/** Makes this process another program, with the same process ID. Returns only by throwing a ZioError. */
export function replaceProcess({ path, words, environment, keptDescriptors = [] }: ProcessImage): never {
  const entries = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const errno = -native().replaceProcess(path, words, entries, keptDescriptors);
  const code = getSystemErrorName(-errno);
  throw new ZioError(`cannot become ${path}: ${code}`, { code, syscall: "execve", errno });
}
