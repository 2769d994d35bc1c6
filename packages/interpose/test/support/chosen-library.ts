// Which libzio.so the victims and programs run with. ZIO_TEST_LIBRARY=trapping: one compiled with UndefinedBehaviorSanitizer
// in trap mode, which needs no runtime and hooks nothing, so that it can be preloaded like the real one: undefined behaviour
// ends the program by SIGILL. Otherwise the one that was built. Besides, one for AddressSanitizer.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileC } from "@zio/test-support";
import { victimSource } from "./compile-victim.js";

const root = join(import.meta.dirname, "../..");
const builtLibrary = join(root, "build/Release/libzio.so");
const dependencies = ["core", "fault-handler"].map((name) => join(root, "..", name));

/** As in binding.gyp. */
const compileFlags = [
  "-O2",
  "-fPIC",
  "-fvisibility=hidden",
  "-fno-builtin",
  "-fno-tree-loop-distribute-patterns",
  "-fno-stack-protector",
  "-ftls-model=initial-exec",
];
const script = join(root, "native/libzio.map");
const linkFlags = ["-shared", "-Wl,-z,now"];
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
    flags: [...compileFlags, ...trapping, ...linkFlags, "-Wl,-z,defs", `-Wl,--version-script=${script}`],
    libs: ["dl"],
  });
}

/** What the sanitizer's own set-up calls, before its shadow memory is there. */
const calledEarly = ["native/boot.c", "native/hooks/memory.c", "native/hooks/real.c", "native/hooks/confinement.c"];
/** Called early as well, and by way of them dlsym, which the sanitizer has not prepared yet. */
const leftToSanitizer = ["free", "realloc"];

/** The run-time settings that `addressLibrary` needs; the handler thread has no thread-local storage for a second stack. */
export const addressOptions = "verify_asan_link_order=0:detect_stack_use_after_return=0:detect_leaks=0:handle_segv=0";

/** The library with AddressSanitizer in all but what its set-up calls; free and realloc are not hooked. */
export async function addressLibrary(): Promise<string> {
  const early = calledEarly.map((name) => join(root, name));
  const own = join(root, "../../build/c/libzio-address.map");
  mkdirSync(join(own, ".."), { recursive: true });
  const names = new RegExp(`^\\s+(${leftToSanitizer.join("|")});\\n`, "gm");
  writeFileSync(own, readFileSync(script, "utf8").replace(names, ""));
  const objects = await Promise.all(
    early.map((source) => compileC({ sources: [source], includes: libraryIncludes, flags: [...compileFlags, "-c"] })),
  );
  return compileC({
    sources: [...librarySources().filter((source) => !early.includes(source)), ...objects],
    includes: libraryIncludes,
    flags: [...compileFlags, "-fno-omit-frame-pointer", ...linkFlags, `-Wl,--version-script=${own}`],
    sanitizers: ["address"],
    libs: ["dl"],
  });
}

/** What ThreadSanitizer's own set-up calls besides. */
const calledEarlyByThreads = [
  ...["signal_stack.c", "mapping.c", "descriptor.c", "signals.c"].map((name) => `native/hooks/${name}`),
  ...["signals.c", "signal_hold.c"].map((name) => `native/${name}`),
];

/** Takes the place of the raw clone, whose thread no sanitizer knows. */
const handlerAsThread = join(dependencies[1]!, "test/native/handler_as_pthread.c");
const wrapping = ["-Wl,--wrap=zio__clone", "-Wl,--wrap=zio__close_all_but"];

/** All of the library with ThreadSanitizer but what its set-up calls, as one object; the handler is a thread of libc's. */
async function threadObject(): Promise<string> {
  const early = [...calledEarly, ...calledEarlyByThreads].map((name) => join(root, name));
  const handler = join(dependencies[1]!, "native");
  const handlerSources = readdirSync(handler).filter((name) => /^(?!unit_|zio_).*\.c$/.test(name));
  const asUnit = join(root, "native/unit_fault_handler.c"); // as one, its calls could not be wrapped
  const [includes, libraries] = [libraryIncludes, ["-r", "-nostdlib"]];
  const plain = await compileC({ sources: early, includes, flags: [...compileFlags, ...libraries] });
  return compileC({
    sources: [
      plain,
      ...librarySources().filter((source) => !early.includes(source) && source !== asUnit),
      ...handlerSources.map((name) => join(handler, name)),
      handlerAsThread,
    ],
    includes,
    flags: [...compileFlags, ...libraries, ...wrapping],
    sanitizers: ["thread"],
  });
}

/** A victim with that linked into it. Its own loads and stores are not looked at: they may race on purpose. */
export async function threadProgram(victim: string): Promise<string> {
  const flags = ["-O2", "-fno-builtin", "-c"];
  const own = await compileC({ sources: [victimSource(victim)], flags });
  const sources = [own, await threadObject()];
  return compileC({ sources, flags: ["-rdynamic"], sanitizers: ["thread"], libs: ["dl"] });
}

export async function chosenLibrary(): Promise<string> {
  const wanted = process.env.ZIO_TEST_LIBRARY ?? "built";
  if (wanted === "built") return builtLibrary;
  if (wanted === "trapping") return trappingLibrary();
  throw new Error(`ZIO_TEST_LIBRARY is "${wanted}": it can be "built" or "trapping"`);
}
