// Compiles the C tests of this package together with all of the pool and of core.
import { join } from "node:path";
import { type CompileOptions, compileC } from "@zio/test-support";

export { join };

const packageRoot = join(import.meta.dirname, "../..");
const core = join(packageRoot, "../core");
export const native = join(packageRoot, "native");
export const nativeIncludes = [
  join(packageRoot, "include"),
  native,
  join(core, "include"),
  join(core, "native"),
  join(packageRoot, "test/native"),
];

/** The path of the program; `from` holds the sources of the pool where they are not the package's own. */
export function compileNative(
  name: string,
  options: Pick<CompileOptions, "sanitizers" | "flags">,
  from: string = native,
): Promise<string> {
  const sources = [
    join(packageRoot, "test/native", `${name}.c`),
    join(from, "zio_nvm_unit.c"),
    join(core, "native/zio_core_unit.c"),
  ];
  return compileC({ sources, includes: from === native ? nativeIncludes : [from, ...nativeIncludes], ...options });
}
