// Which libzio.so the victims and programs run with. ZIO_TEST_LIBRARY=trapping: one compiled with UndefinedBehaviorSanitizer
// in trap mode, which needs no runtime and hooks nothing, so that it can be preloaded like the real one: undefined behaviour
// ends the program by SIGILL. Otherwise the one that was built.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { compileC } from "@zio/test-support";

const root = join(import.meta.dirname, "../..");
const builtLibrary = join(root, "build/Release/libzio.so");
const dependencies = ["core", "fault-handler"].map((name) => join(root, "..", name));

/** As in binding.gyp. */
const flags = [
  "-O2",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-fno-builtin",
  "-fno-tree-loop-distribute-patterns",
  "-fno-stack-protector",
  "-ftls-model=initial-exec",
  `-Wl,--version-script=${join(root, "native/libzio.map")}`,
  "-Wl,-z,defs",
  "-Wl,-z,now",
];
const trapping = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"];

/** Every C file of libzio.so; two of them carry core and fault-handler. */
export function librarySources(): string[] {
  return ["native", "native/hooks"].flatMap((directory) =>
    readdirSync(join(root, directory))
      .filter((name) => name.endsWith(".c"))
      .map((name) => join(root, directory, name)),
  );
}

export const libraryIncludes = [
  join(root, "native"),
  ...dependencies.flatMap((base) => [join(base, "include"), join(base, "native")]),
];

export function trappingLibrary(): Promise<string> {
  return compileC({
    sources: librarySources(),
    includes: libraryIncludes,
    flags: [...flags, ...trapping],
    libs: ["dl"],
  });
}

export async function chosenLibrary(): Promise<string> {
  const wanted = process.env.ZIO_TEST_LIBRARY ?? "built";
  if (wanted === "built") return builtLibrary;
  if (wanted === "trapping") return trappingLibrary();
  throw new Error(`ZIO_TEST_LIBRARY is "${wanted}": it can be "built" or "trapping"`);
}
