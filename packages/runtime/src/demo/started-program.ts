// A program that the demo starts: its lines, its end, and the certainty that it does not outlive the demo.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { ZioError } from "@zio/core";
import { atExit } from "./at-exit.js";

export class StartedProgram {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<string | undefined>;
  #stderr = "";

  constructor(
    readonly path: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ) {
    const child = spawn(path, [...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const forget = atExit(() => child.kill("SIGKILL"));
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(line));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("close", (status, signal) => {
        forget();
        resolve(status === 0 ? undefined : `ended with ${signal ?? `status ${status}`}: ${this.#stderr.trim()}`);
      });
    });
  }

  /** The first line that matches; rejects where the program ends before or says nothing for `timeoutMs`. */
  async line(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    let ended = false;
    void this.#ended.then(() => {
      ended = true;
    });
    for (const deadline = Date.now() + timeoutMs; ; ) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (ended || Date.now() > deadline) throw this.#failure("did not start");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits for an end with status 0 and returns the last line. */
  async end(): Promise<string> {
    const failure = await this.#ended;
    if (failure !== undefined) throw this.#failure(failure);
    return this.lines.at(-1) ?? "";
  }

  /** Asks the program to end, and waits until it has. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#ended;
    clearTimeout(timer);
  }

  #failure(what: string): ZioError {
    return new ZioError(`${this.path} ${what}`, { code: "program-failed" });
  }
}
