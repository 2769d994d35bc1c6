// The command line of `zio`: its subcommands, and how their mistakes are told.
import { Command } from "commander";
import { calibrateCommand } from "./commands/calibrate.js";
import { demoCommand } from "./commands/demo.js";
import { doctorCommand } from "./commands/doctor.js";
import { envCommand } from "./commands/env.js";
import { describePackagedCommand, loadPackagedCommand, packagedCommands } from "./commands/packaged.js";
import { runCommand, typedRun } from "./commands/run.js";
import { statsCommand } from "./commands/stats.js";
import { runAsParent } from "./run/run-as-parent.js";
import { packageVersion } from "./version.js";

/** A subcommand and those below it report mistakes by throwing. */
function throwing(command: Command): Command {
  command.exitOverride().configureOutput({ outputError: () => {} });
  for (const below of command.commands) throwing(below);
  return command;
}

/** The program for the given words, which decide whether a package with subcommands is loaded. */
export async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command("zio")
    .version(packageVersion)
    .description("Runs programs with their IO copies elided: views over immutable IO buffers.")
    .enablePositionalOptions();
  const run = runCommand();
  run.action(() => runAsParent(typedRun(run)));
  const commands = [run, doctorCommand(), statsCommand(), envCommand(), calibrateCommand(), demoCommand()];
  for (const packaged of packagedCommands) {
    const wanted = words.find((word) => !word.startsWith("-")) === packaged.name;
    commands.push(wanted ? await loadPackagedCommand(packaged) : describePackagedCommand(packaged));
  }
  for (const command of commands) program.addCommand(command);
  return throwing(program);
}
