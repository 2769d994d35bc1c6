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
    let checked = false;
    let wrong;
    // In the order of the lines: the first commits of this start may come at once after them.
    life.onLine((line) => {
      const [word, writer, text] = line.split(" ");
      const [rows, known] = [Number(text), this.#known[writer]];
      if (word === "checked") checked = true;
      // One commit of up to three rows may have been under way.
      if (word === "found" && (rows < known || rows > known + 3))
        wrong ??= `writer ${writer}: ${rows} rows, acknowledged were ${known}`;
      if (word === "acknowledged") {
        this.totals.commits++;
        this.totals.rows += rows - known;
      }
      if (word === "found" || word === "acknowledged") this.#known[writer] = rows;
    });
    while (!checked) {
      if (!life.isRunning()) throw new Error("the check failed");
      await sleep(10);
    }
    if (wrong) throw new Error(wrong);
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
