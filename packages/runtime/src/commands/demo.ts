import { Command } from "commander";
export function demoCommand(): Command {
  return new Command("demo").description(
    "compare an echo server, and Redis where it is installed, plain and under zIO",
  );
}
