// Programs of zio-fuzz-program as data: a verb and its arguments for each operation. What the verbs do stands above
// their functions in native/fuzz.

export interface Operation {
  verb: string;
  args: readonly number[];
}

export type Program = readonly Operation[];

/** One line for each operation, after the comments. */
export function formatProgram(program: Program, comments: readonly string[] = []): string {
  const lines = program.map(({ verb, args }) => [verb, ...args].join(" "));
  return `${[...comments.map((comment) => `# ${comment}`), ...lines].join("\n")}\n`;
}

export function parseProgram(text: string): Program {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line) => {
      const [verb, ...args] = line.trim().split(/\s+/);
      return { verb: verb!, args: args.map(Number) };
    });
}
