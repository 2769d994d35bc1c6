import { Command } from "commander";
import type { OptionTexts } from "../run/settings.js";
import { addSettingOptions, optionTexts, usageError } from "./setting-options.js";

export interface TypedRun {
  options: OptionTexts;
  statsFile: string | undefined;
  command: readonly string[];
}

/** `zio run`: its options end at the first word that is none. */
export function runCommand(): Command {
  const command = new Command("run")
    .description("run a program with its IO copies elided")
    .argument("[command...]", "the program and its arguments; -- before it is optional")
    .usage("[options] -- command [arguments...]")
    .passThroughOptions();
  return addSettingOptions(command, "run").addHelpText(
    "after",
    `
Without --stats zio becomes the command: same process, nothing of zio stays behind. With it a small
parent stays, hands on signals and ends as the command ended. Exit status: the command's; 127 where
it is not found, 126 where it cannot be run, 2 for a wrong command line or a pool that cannot be used.

With --nvm writes to the files that --nvm-file names go to the log of a pool: fsync makes them durable
there, and they reach the files themselves in the background.`,
  );
}

/** What a parsed command asks for. */
export function typedRun(command: Command): TypedRun {
  const statsFile: unknown = command.getOptionValue("stats");
  return {
    options: optionTexts(command, "run"),
    statsFile: typeof statsFile === "string" ? statsFile : undefined,
    command: command.args,
  };
}

/** Parses the words after `zio run`; undefined where they ask for help. Throws a CommandError where they are wrong. */
export function parseRun(words: readonly string[]): TypedRun | undefined {
  const silent = () => {};
  const command = runCommand().exitOverride().configureOutput({ writeOut: silent, writeErr: silent });
  try {
    command.parse(words, { from: "user" });
  } catch (error) {
    const wrong = usageError(error, "zio run");
    if (wrong) throw wrong;
    return undefined;
  }
  return typedRun(command);
}
