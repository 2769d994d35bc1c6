// The `zio-fuzz` command: random programs, each run plain and preloaded, every byte compared.
import { runFuzzCommand } from "./fuzz/command.js";

process.exitCode = await runFuzzCommand(process.argv.slice(2));
