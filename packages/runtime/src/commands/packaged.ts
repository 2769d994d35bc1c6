// Subcommands that other packages bring, where they are installed.
import { pathToFileURL } from "node:url";
import { Command } from "commander";
import { CommandError, exitStatus } from "../exit-status.js";
import { installedEntry } from "../installed-package.js";

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

/** The command of a package; in its place, where it is not installed, one that says how to get it. */
export async function loadPackagedCommand({
  name,
  package: packageName,
  description,
}: PackagedCommand): Promise<Command> {
  const file = installedEntry(packageName, "import");
  if (file !== undefined) {
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
