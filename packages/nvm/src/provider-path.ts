import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { platformProblem, ZioError } from "@zio/core";

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The storage provider that libzio.so loads: compiled here, or shipped. Throws where there is none for this platform. */
export function providerPath(): string {
  const problem = platformProblem();
  if (problem) throw new ZioError(`${problem.reason}; ${problem.fix}`, { code: "UNSUPPORTED_PLATFORM" });
  const directories = ["build/Release", `prebuilds/${process.platform}-${process.arch}`];
  const paths = directories.map((directory) => join(packageRoot, directory, "libzio-nvm.so"));
  const path = paths.find((each) => existsSync(each));
  if (path !== undefined) return path;
  throw new ZioError(`libzio-nvm.so is not there; build @zio/nvm (looked for ${paths.join(" and ")})`, {
    code: "ENOENT",
    syscall: "access",
  });
}
