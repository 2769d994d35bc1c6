import type { Settings } from "@zio/interpose";
import { Command, Option } from "commander";
import { runDemo } from "../demo/demo.js";
import { renderDemo } from "../demo/render-demo.js";
import { accompany, answer } from "../messages.js";

interface DemoOptions {
  policy?: NonNullable<Settings["policy"]>;
  json?: boolean;
}

const clearLine = "\r\x1b[K";

/** One line that is rewritten on a terminal; elsewhere a line for each step. */
function progressLine(): { show: (text: string) => void; end: () => void } {
  if (!process.stderr.isTTY) return { show: (text) => accompany(`${text}\n`), end: () => {} };
  return { show: (text) => accompany(`${clearLine}${text}`), end: () => accompany(clearLine) };
}

/** `zio demo`: needs nothing but what the package brings. */
export function demoCommand(): Command {
  return new Command("demo")
    .description("compare an echo server, and Redis where it is installed, plain and under zIO")
    .addOption(new Option("--policy <policy>", "the policy to compare with plain").choices(["always", "learn"]))
    .option("--json", "print the samples as JSON")
    .action(async ({ policy, json }: DemoOptions) => {
      const progress = progressLine();
      try {
        const result = await runDemo({ policy }, progress.show);
        progress.end();
        answer(json ? JSON.stringify(result, null, 2) : renderDemo(result));
      } finally {
        progress.end();
      }
    });
}
