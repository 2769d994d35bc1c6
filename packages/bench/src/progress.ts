// Progress on standard error: one line that is rewritten on a terminal, a line per step elsewhere.

export interface Progress {
  step(text: string): void;
  end(): void;
}

export function stderrProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { step: (text) => void stream.write(`${text}\n`), end: () => {} };
  return {
    step: (text) => void stream.write(`\r\x1b[K${text.slice(0, stream.columns - 1)}`),
    end: () => void stream.write("\r\x1b[K"),
  };
}

export const noProgress: Progress = { step: () => {}, end: () => {} };
