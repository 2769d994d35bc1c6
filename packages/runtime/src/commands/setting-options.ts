// The options of commands that set up a program's environment: made from the table of settings, so that help, variables
// and documentation cannot differ.

import { type ConfigVariable, configTable, joinPatterns } from "@zio/interpose";
import { type Command, type CommanderError, Option } from "commander";
import { CommandError, exitStatus } from "../exit-status.js";
import type { OptionTexts } from "../run/settings.js";

const statsVariable = "ZIO_STATS";

function helpText(variable: ConfigVariable, meaning: string): string {
  const words = variable.values?.map(({ word }) => word).join(", ");
  const bounds = variable.type === "size" || variable.type === "count" ? `${variable.min} to ${variable.max}` : words;
  return [meaning.replaceAll("`", ""), bounds && `[${bounds}]`, variable.default && `(default: ${variable.default})`]
    .filter(Boolean)
    .join(" ");
}

/** The option as commander wants it declared. */
function flagsOf(variable: ConfigVariable, placeholder: string | undefined): string {
  return placeholder ? `--${variable.option} <${placeholder}>` : `--${variable.option}`;
}

/** Adds an option for each setting. Their texts are not checked here: a bad one must not stop a program. */
export function addSettingOptions(command: Command, takes: "run" | "variable"): Command {
  for (const variable of configTable as readonly ConfigVariable[]) {
    const isDirectory = takes === "variable" && variable.name === statsVariable;
    const placeholder = isDirectory ? "directory" : variable.placeholder;
    const meaning = isDirectory ? variable.meaning : (variable.optionMeaning ?? variable.meaning);
    const option = new Option(flagsOf(variable, placeholder), helpText(variable, meaning));
    if (variable.type === "patterns") option.argParser((text: string, before?: string[]) => [...(before ?? []), text]);
    command.addOption(variable.internal ? option.hideHelp() : option);
  }
  return command;
}

/** The texts of the options that were given, by variable; with those of `zio run`, --stats is none of them. */
export function optionTexts(command: Command, takes: "run" | "variable"): OptionTexts {
  const texts: OptionTexts = {};
  for (const variable of configTable as readonly ConfigVariable[]) {
    if (takes === "run" && variable.name === statsVariable) continue;
    const name = new Option(flagsOf(variable, variable.placeholder)).attributeName();
    const value: unknown = command.getOptionValue(name);
    if (Array.isArray(value)) texts[variable.name] = joinPatterns(value);
    else if (typeof value === "string") texts[variable.name] = value;
    else if (typeof value === "boolean" && command.getOptionValueSource(name) === "cli")
      texts[variable.name] = value ? "yes" : "no";
  }
  return texts;
}

/** Turns what commander throws into one line; undefined where it showed help or a version. Other errors go on. */
export function usageError(error: unknown, command: string): CommandError | undefined {
  // Not instanceof: a package with subcommands may have a commander of its own.
  if (!(error instanceof Error) || error.name !== "CommanderError") throw error;
  const { exitCode, code, message } = error as CommanderError;
  if (exitCode === 0 || code === "commander.help") return undefined;
  const text = message.replace(/^error: /, "").replaceAll("\n", " ");
  return new CommandError(`${text}; \`${command} --help\` shows what there is`, exitStatus.usage);
}
