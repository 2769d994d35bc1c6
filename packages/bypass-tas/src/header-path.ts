import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The C header of the IO-stack ABI, which an adapter implements; its directory's parent is the one for `-I`. */
export const headerPath: string = join(
  dirname(createRequire(import.meta.url).resolve("@zio/core/package.json")),
  "include/zio/io_stack.h",
);
