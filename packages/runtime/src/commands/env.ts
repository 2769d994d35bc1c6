import { allowedSeccompFilters } from "@zio/fault-handler";
import { type ConfigVariable, configTable, libraryPath, preloadablePath } from "@zio/interpose";
import { Command, Option } from "commander";
import { CommandError, exitStatus } from "../exit-status.js";
import { answer, say } from "../messages.js";
import { nvmPackage } from "../persistence/nvm-package.js";
import { settlePersistence } from "../persistence/persistence-settings.js";
import { tellCosts } from "../run/costs.js";
import { EnvironmentBytes } from "../run/environment-bytes.js";
import { applySettings, type OptionTexts } from "../run/settings.js";
import { addSettingOptions, optionTexts } from "./setting-options.js";

type Format = "shell" | "systemd" | "docker" | "dotenv";

const doubleQuoted = (text: string, special: RegExp) => `"${text.replace(special, "\\$&")}"`;

/** A line that sets a variable, in each format. Values hold no line breaks. */
const lineOf: Record<Format, (name: string, value: string) => string> = {
  shell: (name, value) => {
    const quoted = `'${value.replaceAll("'", "'\\''")}'`;
    return `export ${name}=${quoted}${name === "LD_PRELOAD" ? `"\${LD_PRELOAD:+:$LD_PRELOAD}"` : ""}`;
  },
  // Specifiers are written %%.
  systemd: (name, value) => `Environment=${doubleQuoted(`${name}=${value}`.replaceAll("%", "%%"), /["\\]/g)}`,
  docker: (name, value) => `ENV ${name}=${doubleQuoted(value, /["\\$]/g)}`,
  dotenv: (name, value) => `${name}=${doubleQuoted(value, /["\\$`]/g)}`,
};

/** The variables of zIO: those that are set, and those that are not with their defaults. */
export interface VariableList {
  set: Record<string, string>;
  unset: ConfigVariable[];
}

/** Settles the variables from options and the environment; a line for each that was refused. */
export function settleVariables(options: OptionTexts): { variables: VariableList; lines: string[] } {
  const environment = EnvironmentBytes.of(process.env);
  const lines = applySettings(environment, options);
  // Each program that is started with these alone has the pool for itself and its children.
  if (settlePersistence(environment, options) && !environment.text("ZIO_NVM_PROVIDER"))
    environment.set("ZIO_NVM_PROVIDER", nvmPackage().providerPath());
  const filters = allowedSeccompFilters();
  if (filters && options.ZIO_SECCOMP === undefined) environment.set("ZIO_SECCOMP", String(filters));
  tellCosts(environment);
  const variables: VariableList = { set: { LD_PRELOAD: preloadablePath(libraryPath()) }, unset: [] };
  for (const variable of configTable as readonly ConfigVariable[]) {
    const text = environment.text(variable.name);
    if (text) variables.set[variable.name] = text;
    else variables.unset.push(variable);
  }
  return { variables, lines };
}

/** The list as lines of a file in `format`; what is not set is a comment. */
export function renderVariables({ set, unset }: VariableList, format: Format): string {
  const lines = Object.entries(set).map(([name, value]) => lineOf[format](name, value));
  const comments = unset.map(({ name, default: text, meaning }) => `# ${name}${text ? ` (${text})` : ""}: ${meaning}`);
  return [...lines, ...comments].join("\n");
}

/** `zio env`: what to set where programs are not started by `zio run`. */
export function envCommand(): Command {
  const command = new Command("env")
    .description("print the variables that put a program under zIO, for a shell, a unit or an image")
    .addOption(
      new Option("--format <format>", "how they are written")
        .choices(Object.keys(lineOf))
        .default("shell" satisfies Format),
    )
    .option("--json", "print them as JSON");
  return addSettingOptions(command, "variable").action(({ format, json }: { format: Format; json?: boolean }) => {
    const { variables, lines } = settleVariables(optionTexts(command, "variable"));
    for (const line of lines) say(line);
    const library = libraryPath();
    if (variables.set.LD_PRELOAD !== library) {
      say(
        `LD_PRELOAD cannot name ${library}: this goes through a link that is gone after a restart; move the package to a path without spaces and colons`,
      );
    }
    if (Object.values(variables.set).some((value) => value.includes("\n"))) {
      throw new CommandError("a value has a line break, which these files cannot hold", exitStatus.usage);
    }
    answer(
      json ? JSON.stringify({ version: 1, variables: variables.set }, null, 2) : renderVariables(variables, format),
    );
  });
}
