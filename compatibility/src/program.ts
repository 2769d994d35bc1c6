// What a program of the compatibility table is: a name, what it needs of Debian, and one function that is run twice, plain
// and under zIO, and says what it saw. It judges nothing: the comparison is the framework's (compare.ts).
import type { ChildProcess } from "node:child_process";

export type Mode = "plain" | "zio";

/** What one run saw. Names and values must not depend on addresses, times, ports or paths. */
export interface Outcome {
  /** How many checks ran: tests of a suite, files compared. */
  checks: number;
  /** The names of those that failed; each must be the same from run to run. */
  failed: string[];
  /** Those that failed, but not when they were run again. */
  repeated?: string[];
  /** What must be equal plain and under zIO: hashes, exit statuses, texts. Each counts as a check too. */
  same?: Record<string, string>;
}

export interface StartOptions {
  cwd?: string;
  /** Added to the environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  /** Without zIO in either mode: a tool that only prepares or checks. */
  plain?: boolean;
  stdin?: string | Uint8Array;
  /** A file for standard output instead of memory. */
  stdoutFile?: string;
  /** Then the process group is killed and `run` rejects. 120 s unless told. */
  timeoutMs?: number;
}

export interface Finished {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
}

/** A process that goes on: a server. What still runs at the end of `Program.run` is killed. */
export interface Started {
  process: ChildProcess;
  pid: number;
  /** What it has written so far. */
  stdout(): Buffer;
  stderr(): string;
  /** Resolves when it has ended and its output is complete. */
  finished: Promise<Finished>;
  /** Sends a signal (SIGTERM) to the process alone and waits for its end; kills it after ten seconds and rejects. */
  stop(signal?: NodeJS.Signals): Promise<Finished>;
}

export interface Context {
  readonly mode: Mode;
  /** An empty directory for this run, gone afterwards. */
  readonly directory: string;
  /** The whole environment in which `start` and `run` start programs, with LD_PRELOAD under zIO. */
  readonly environment: NodeJS.ProcessEnv;
  /** A file of compatibility/material. */
  material(path: string): string;
  /** The unpacked source package of Debian, shared by all runs: not to be written to. */
  source(debianSource: string): string;
  freePort(): Promise<number>;
  /** Resolves once something listens on the port of 127.0.0.1. */
  untilListening(port: number, timeoutMs?: number): Promise<void>;
  start(command: string, args?: string[], options?: StartOptions): Started;
  /** Runs a program to its end. Rejects where it cannot be started or does not end in time, not for its status. */
  run(command: string, args?: string[], options?: StartOptions): Promise<Finished>;
  /** As `run`, but another exit status than 0 rejects too. */
  succeed(command: string, args?: string[], options?: StartOptions): Promise<Finished>;
  /** A line of progress on stderr. */
  log(text: string): void;
}

export interface Program {
  /** One word; also the name of the file in programs/. */
  name: string;
  /** How the table calls it. */
  title: string;
  /** What is run and compared, for the table. */
  what: string;
  /** Debian packages that must be installed; the first is the one whose version the table shows. */
  debianPackages: string[];
  /** Debian source packages whose tests are used. */
  debianSources?: string[];
  /** What the table shows as version where it is not that of the first Debian package. */
  version?(): string;
  /** For one of the two runs; then everything is killed and the run has failed. Ten minutes unless told. */
  deadlineMs?: number;
  /** Why zIO has nothing to elide here, where that is so by nature. */
  elidesNothingBecause?: string;
  /** Throws a Skip where the machine lacks something that no package brings. */
  run(context: Context): Promise<Outcome>;
}

/** Thrown by `run`: the program cannot be run here. */
export class Skip extends Error {}
