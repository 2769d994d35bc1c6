// What files in a pool find here: whether @zio/nvm is installed and its library is there, and file systems on persistent memory.
import { findNvmPackage, howToInstall } from "../persistence/nvm-package.js";
import { type Check, good } from "./check.js";
import { readText } from "./proc.js";

function checkProvider(): Check {
  const [id, title] = ["persistence", "zio run --nvm"];
  const found = findNvmPackage();
  if (!found) return { id, title, state: "limited", reason: "@zio/nvm is not installed", fix: howToInstall };
  try {
    return good(id, title, found.providerPath());
  } catch (error) {
    const fix = "run `npm rebuild @zio/nvm`, or `npm run setup` in a checkout";
    return { id, title, state: "limited", reason: (error as Error).message, fix };
  }
}

/** The directories of a table of mounts whose file systems give programs their memory itself. */
export function daxMounts(table: string): string[] {
  return table.split("\n").flatMap((line) => {
    const [, directory, type, options = ""] = line.split(" ");
    const direct = options.split(",").some((option) => /^dax(=always)?$/.test(option));
    return direct && directory !== undefined ? [`${directory} (${type})`] : [];
  });
}

/** Pools work without; only power cuts then cost an msync each time. */
export function checkPersistentMemory(table = readText("/proc/self/mounts") ?? ""): Check {
  const mounts = daxMounts(table);
  const [id, title] = ["persistent-memory", "persistent memory"];
  if (mounts.length > 0) return good(id, title, mounts.join(", "));
  return good(id, title, "none is mounted with dax: pools are ordinary files, made durable by msync");
}

export function persistenceChecks(): Check[] {
  return [checkProvider(), checkPersistentMemory()];
}
