// SQLite through python3, in the modes with a rollback journal and with a write-ahead log, from two processes at a time. The
// pattern takes in the file of shared memory of the write-ahead log as well, which is mapped and so left to the kernel.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const worker = fileURLToPath(new URL("sqlite_worker.py", import.meta.url));

export class SqliteUnderKills {
  name = "sqlite";
  program = "python3";
  debian = "python3";
  patterns = ["*.db*"];
  totals = { commits: 0, rows: 0 };
  #known;
  #directories = 0;

  begin(directory) {
    this.database = join(directory, "data.db");
    this.mode = this.#directories++ % 2 === 0 ? "delete" : "wal";
    this.#known = [0, 0];
  }

  command() {
    return ["python3", worker, this.database, this.mode, "2"];
  }

  /** The lines of a start as they come; the first are about what it found. */
  async verify(life) {
    const found = new Map();
    let checked = false;
    life.onLine((line) => {
      const [word, writer, number] = line.split(" ");
      if (word === "found") found.set(Number(writer), Number(number));
      if (word === "checked") checked = true;
      if (word !== "acknowledged") return;
      this.totals.commits++;
      this.totals.rows += Number(number) - this.#known[writer];
      this.#known[writer] = Number(number);
    });
    while (!checked) {
      if (!life.isRunning()) throw new Error("the check failed");
      await sleep(10);
    }
    for (const [writer, rows] of found) {
      const known = this.#known[writer];
      // One commit of up to three rows may have been under way.
      if (rows < known || rows > known + 3)
        throw new Error(`writer ${writer}: ${rows} rows, acknowledged were ${known}`);
      this.#known[writer] = rows;
    }
  }

  async work(running, life) {
    while (running.on && life.isRunning()) await sleep(10);
    if (running.on) throw new Error("it ended by itself");
  }

  /** Its processes share a group. */
  kill(life) {
    return life.kill(true);
  }

  summary() {
    return `${this.totals.commits} commits of ${this.totals.rows} rows acknowledged, all there`;
  }
}
