// Programs under `zio run --nvm` that are killed by SIGKILL at random moments on an ordinary file system and started again: what
// they acknowledged must be there. `--cycles N` (20), `--program redis,sqlite,postgres`, `--seed N`, `--in DIRECTORY`, `--policy always`.
// Every fourth start is plain, after `zio nvm recover`: a program without zIO must find the same.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { root } from "./environment.mjs";
import { PostgresUnderKills } from "./kill-cycles/postgres.mjs";
import { RedisUnderKills } from "./kill-cycles/redis.mjs";
import { SqliteUnderKills } from "./kill-cycles/sqlite.mjs";
import { setUpOrExit } from "./setup.mjs";

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: "20" },
    program: { type: "string", default: "redis,sqlite,postgres" },
    policy: { type: "string", default: "always" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    in: { type: "string", default: tmpdir() },
    verbose: { type: "boolean", default: false },
  },
});
const programs = { redis: RedisUnderKills, sqlite: SqliteUnderKills, postgres: PostgresUnderKills };
/** Then the directory is a new one, or the files grow too large to be loaded quickly. */
const cyclesOfDirectory = 10;
const poolSize = "64M";
const zio = join(root, "bin/zio");

const progress = (text) => process.stderr.write(`zio: kills: ${text}\n`);

function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** One start of the program, under zIO or plain, and what it said. */
class Life {
  said = "";

  constructor(words, env) {
    this.child = spawn(words[0], words.slice(1), { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on("data", (chunk) => {
        this.said = (this.said + chunk).slice(-6000);
      });
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
  }

  /** Calls back with each line of its output from here on. */
  onLine(callback) {
    createInterface({ input: this.child.stdout }).on("line", callback);
  }

  isRunning = () => this.child.exitCode === null && this.child.signalCode === null;

  /** The process alone, whose children notice, or all of them at once. */
  async kill(all) {
    if (this.isRunning()) process.kill(all ? -this.child.pid : this.child.pid, "SIGKILL");
    await this.ended;
  }

  describe() {
    return `${this.child.signalCode ?? this.child.exitCode ?? "running"}; it last said:\n${this.said}`;
  }
}

class Cycles {
  recovered = 0;

  constructor(program, directory, random) {
    Object.assign(this, { program, random, directory, counters: join(directory, "counters") });
    mkdirSync(this.counters);
    // The program may be another user.
    for (const path of [directory, this.counters]) chmodSync(path, 0o777);
  }

  /** A new directory with a new pool. */
  begin(number) {
    const place = join(this.directory, String(number));
    mkdirSync(place);
    this.pool = join(place, "pool");
    this.program.begin(place);
    return place;
  }

  /** The words that run a command as the user that the program wants. */
  as(words) {
    return this.program.asUser?.(words) ?? words;
  }

  async start(cycle) {
    const command = await this.program.command(cycle);
    const env = { ...process.env, ZIO_STATS: this.counters };
    if (cycle % 4 === 3) {
      const [recover, ...words] = this.as([zio, "nvm", "recover", this.pool]);
      const { status, stderr, stdout } = spawnSync(recover, words, { encoding: "utf8" });
      if (status !== 0) throw new Error(`zio nvm recover: ${stderr}`);
      if (!stdout.startsWith("nothing")) this.recovered++;
      return new Life(this.as(command), process.env);
    }
    const files = this.program.patterns.flatMap((pattern) => ["--nvm-file", pattern]);
    const options = ["--policy", values.policy, "--nvm", this.pool, "--nvm-size", poolSize, ...files];
    return new Life(this.as([zio, "run", ...options, "--", ...command]), env);
  }

  /** A start, a look at what the last kill left, work, and a kill; the last start in a directory only looks. */
  async one(cycle, works) {
    const life = await this.start(cycle);
    try {
      await this.program.verify(life);
      if (/^zio: recovered/m.test(life.said)) this.recovered++;
      if (!works) return await this.program.kill(life, this.random);
      const running = { on: true };
      const working = this.program.work(running, life);
      await Promise.race([working, sleep(50 + this.random() ** 2 * 3000)]);
      running.on = false;
      await this.program.kill(life, this.random);
      await working;
    } catch (error) {
      await life.kill(true);
      throw new Error(`cycle ${cycle}: ${error.message}; the program: ${life.describe()}`, { cause: error });
    }
    if (values.verbose) progress(`cycle ${cycle}: ${this.program.summary()}`);
  }
}

async function run(name, random) {
  const Program = programs[name];
  if (!Program) throw new Error(`there is no program '${name}', but ${Object.keys(programs).join(" and ")}`);
  const program = new Program(random);
  if (spawnSync(program.program, ["--version"]).error) {
    progress(`skipped: there is no ${program.program} (Debian: ${program.debian})`);
    process.exitCode = 77;
    return;
  }
  const { readStatsDirectory } = await import("../packages/interpose/dist/index.js");
  const directory = mkdtempSync(join(values.in, "zio-kills-"));
  try {
    const cycles = new Cycles(program, directory, random);
    const all = Number(values.cycles);
    for (let first = 0; first < all; first += cyclesOfDirectory) {
      const place = cycles.begin(first);
      const next = Math.min(all, first + cyclesOfDirectory);
      for (let cycle = first; cycle < next; cycle++) await cycles.one(cycle, true);
      await cycles.one(next, false);
      rmSync(place, { recursive: true });
    }
    const { totals } = readStatsDirectory(cycles.counters);
    const logged = totals.loggedBytes ?? 0;
    if (logged === 0 || cycles.recovered === 0)
      throw new Error(`${logged} bytes were logged, ${cycles.recovered} pools recovered: nothing is proved`);
    progress(
      `${name}: ${all} kills (seed ${values.seed}): ${program.summary()}; ${logged} bytes logged, ${totals.loggedByReferenceBytes} by reference, ${cycles.recovered} pools recovered`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await setUpOrExit();
try {
  for (const name of values.program.split(",")) await run(name, randomFrom(Number(values.seed)));
  if (process.exitCode === undefined) progress("passed");
} catch (error) {
  progress(`failed: ${error.message}`);
  process.exitCode = 1;
}
