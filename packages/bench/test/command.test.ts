import { CommanderError } from "commander";
import { beforeAll, expect, test } from "vitest";
import { command, workloads } from "../src/index.js";

let stderr = "";

beforeAll(() => {
  for (const each of [command, ...command.commands])
    each.exitOverride().configureOutput({
      writeErr: (text) => {
        stderr += text;
      },
    });
});

async function complaint(...words: string[]): Promise<string> {
  stderr = "";
  await expect(command.parseAsync(words, { from: "user" })).rejects.toBeInstanceOf(CommanderError);
  return stderr;
}

test("a bad option ends in one line that says what is needed", async () => {
  const cases = [
    [["copies", "--pairs", "0"], /whole number of at least 1/],
    [["copies", "--copies", "1,x"], /whole number of at least 0/],
    [["copies", "--policy", "sometimes"], /One of always, learn, off, paper/],
    [["copies", "--message-bytes", "512Q"], /size such as 512K/],
    [["copies", "--cpus", "1"], /Two numbers/],
    [["copies", "--speed"], /unknown option/],
    [["copy"], /unknown command/],
  ] as const;
  for (const [words, expected] of cases) expect(await complaint(...words)).toMatch(expected);
});

test("every workload is a subcommand with a record, and help for its options", () => {
  for (const subcommand of command.commands) expect(subcommand.description()).not.toBe("");
  const names = command.commands.map((subcommand) => subcommand.name());
  expect(names).toEqual([...workloads.map(({ name }) => name), "all", "paper", "record", "compare", "page"]);
  for (const name of names.slice(0, -3)) {
    const help = command.commands.find((subcommand) => subcommand.name() === name)?.helpInformation();
    expect(help).toContain("--json <file>");
    expect(help).toContain("--plot <file>");
  }
});
