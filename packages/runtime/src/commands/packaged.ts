// Subcommands that other packages bring. They are found when their package is installed beside this one, in the project
// of the current directory, or in the same checkout.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Command } from "commander";
import { CommandError, exitStatus } from "../exit-status.js";

interface PackagedCommand {
  name: string;
  package: string;
  description: string;
}

/** Each package exports its Command as `command`. */
export const packagedCommands: readonly PackagedCommand[] = [
  { name: "bench", package: "@zio/bench", description: "measure programs plain and under zIO" },
  { name: "nvm", package: "@zio/nvm", description: "make, inspect and recover pools in persistent memory" },
];

// The same from src/ and from dist/: both lie directly in the package.
const packageRoot = join(dirname(fileURLToPath(import.meta.url)), "..");

function importedFile(manifestPath: string): string {
  const manifest = JSON.parse(readFileSync(manifestPath, "utf8"));
  return join(dirname(manifestPath), manifest.exports["."].import.default);
}

/** The ESM entry of an installed package, or undefined. */
function findPackage(name: string): string | undefined {
  for (const from of [join(packageRoot, "package.json"), join(process.cwd(), "package.json")]) {
    try {
      return importedFile(createRequire(from).resolve(`${name}/package.json`));
    } catch {
      // Not installed there.
    }
  }
  const beside = join(packageRoot, "..", name.replace(/^@zio\//, ""), "package.json");
  if (!existsSync(beside) || JSON.parse(readFileSync(beside, "utf8")).name !== name) return undefined;
  return importedFile(beside);
}

/** The command of a package; in its place, where it is not installed, one that says how to get it. */
export async function loadPackagedCommand({
  name,
  package: packageName,
  description,
}: PackagedCommand): Promise<Command> {
  const file = findPackage(packageName);
  if (file !== undefined && existsSync(file)) {
    const loaded = (await import(pathToFileURL(file).href)) as { command: Command };
    return loaded.command;
  }
  return describePackagedCommand({ name, package: packageName, description });
}

/** A command that is listed in help; to run it, it must be loaded. */
export function describePackagedCommand({ name, package: packageName, description }: PackagedCommand): Command {
  return new Command(name)
    .description(`${description} (comes with ${packageName})`)
    .argument("[arguments...]")
    .allowUnknownOption()
    .helpOption(false)
    .action(() => {
      throw new CommandError(
        `\`zio ${name}\` comes with ${packageName}, which is not installed: npm install ${packageName}`,
        exitStatus.failure,
      );
    });
}
