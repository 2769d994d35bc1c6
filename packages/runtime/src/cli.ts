#!/usr/bin/env node
import { Command } from "commander";
import { packageVersion } from "./version.js";

const program = new Command("zio").version(packageVersion).description("Run programs with their IO copies elided.");

program
  .command("demo")
  .description("compare an echo server plain and under zIO")
  .action(() => {
    process.stderr.write("zio: the demo is not in this version yet\n");
  });

await program.parseAsync();
