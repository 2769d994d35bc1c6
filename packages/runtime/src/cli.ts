#!/usr/bin/env node
import { ZioError } from "@zio/core";
import { usageError } from "./commands/setting-options.js";
import { CommandError, exitStatus } from "./exit-status.js";
import { say } from "./messages.js";
import { createProgram } from "./program.js";

/** The status for an error, after a line about it. Errors that nobody expected are shown whole. */
function report(error: unknown, words: readonly string[]): number {
  if (error instanceof CommandError) {
    say(error.message);
    return error.status;
  }
  if (error instanceof ZioError) {
    say(error.message);
    return exitStatus.failure;
  }
  const { code, message } = error as { code?: string; message?: string };
  const [first] = words;
  const isFirstUnknown = code === "commander.unknownCommand" && message?.includes(`'${first}'`);
  const command = first === undefined || isFirstUnknown ? "zio" : `zio ${first}`;
  const wrong = usageError(error, command);
  return wrong ? report(wrong, words) : 0;
}

const words = process.argv.slice(2);
try {
  await (await createProgram(words)).parseAsync();
} catch (error) {
  process.exitCode = report(error, words);
}
