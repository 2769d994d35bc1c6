// PostgreSQL whose write-ahead log is logged in the pool. A client inserts rows one by one and knows which were committed, pgbench
// works beside it. After each kill and PostgreSQL's own recovery: every committed row with its data, pgbench's balances equal to the
// sum of its history, every index in order (amcheck).
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** Of the newest version that Debian has installed. */
function findBinaries(directory = "/usr/lib/postgresql") {
  const versions = existsSync(directory) ? readdirSync(directory).map(Number) : [];
  return join(directory, String(Math.max(0, ...versions)), "bin");
}

const binaries = findBinaries();
const isRoot = process.getuid() === 0;

/** The server refuses root. As another user it gets the right to userfaultfd as an ambient capability. */
function asPostgres(words) {
  if (!isRoot) return words;
  const who = ["--reuid=postgres", "--regid=postgres", "--init-groups"];
  return ["setpriv", ...who, "--inh-caps=+sys_ptrace", "--ambient-caps=+sys_ptrace", ...words];
}

const checks = `
select count(*) from rows;
select count(*) from rows where data <> repeat(md5(n::text), 20 + n % 2000);
select sum(abalance) = coalesce((select sum(delta) from pgbench_history), 0) from pgbench_accounts;
select count(bt_index_check(c.oid, true)) > 0 from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
  where a.amname = 'btree' and c.relpersistence = 'p' and i.indisready and i.indisvalid;
`;

export class PostgresUnderKills {
  name = "postgres";
  program = `${binaries}/postgres`;
  debian = "postgresql";
  totals = { rows: 0, transactions: 0 };
  #committed = 0;

  begin(directory) {
    [this.data, this.socket] = ["data", "socket"].map((name) => join(directory, name));
    this.patterns = [join(this.data, "pg_wal/*")];
    this.#committed = 0;
    if (isRoot) {
      const owner = Number(execFileSync("id", ["-u", "postgres"], { encoding: "utf8" }));
      chownSync(directory, owner, owner);
    }
    chmodSync(directory, 0o755);
    const run = (...words) => {
      const [command, ...rest] = asPostgres(words);
      execFileSync(command, rest, { stdio: "pipe", cwd: "/" });
    };
    run("mkdir", "-m", "700", this.socket);
    run(`${binaries}/initdb`, "-D", this.data, "-A", "trust", "-k", "--no-sync");
    this.isNew = true;
  }

  /** `zio run` itself is to be PostgreSQL's user, who owns the pool. */
  asUser = asPostgres;

  command() {
    const settings = {
      listen_addresses: "",
      unix_socket_directories: this.socket,
      shared_buffers: "16MB",
      max_wal_size: "64MB",
    };
    const words = Object.entries({ ...settings, checkpoint_timeout: "30s" }).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ]);
    return [`${binaries}/postgres`, "-D", this.data, ...words];
  }

  get #env() {
    return { ...process.env, PGHOST: this.socket, PGUSER: "postgres", PGDATABASE: "postgres" };
  }

  #psql(sql) {
    const words = ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"];
    return execFileSync("psql", words, { env: this.#env, input: sql, encoding: "utf8", stdio: "pipe" })
      .trim()
      .split("\n");
  }

  async #ready(life) {
    for (const deadline = Date.now() + 60_000; ; await sleep(50)) {
      try {
        return this.#psql("select 1");
      } catch (error) {
        if (!life.isRunning() || Date.now() > deadline) throw error;
      }
    }
  }

  async verify(life) {
    await this.#ready(life);
    if (this.isNew) {
      this.#psql(
        "create extension amcheck; create table rows(n serial primary key, data text); create index on rows(md5(data));",
      );
      execFileSync("pgbench", ["-i", "-q", "-s", "1"], { env: this.#env, stdio: "pipe" });
      this.isNew = false;
    }
    const [count, wrong, balanced, ordered] = this.#psql(checks);
    if (wrong !== "0" || balanced !== "t" || ordered !== "t") throw new Error(`wrong: ${[wrong, balanced, ordered]}`);
    const committed = this.#committed;
    // One may have been under way.
    if (Number(count) < committed || Number(count) > committed + 1)
      throw new Error(`${count} rows, committed were ${committed}`);
    this.#committed = Number(count);
  }

  async #insert(running) {
    const child = spawn("psql", ["-X", "-q", "-At"], { env: this.#env, stdio: ["pipe", "pipe", "ignore"] });
    child.stdin.on("error", () => {});
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next =
      "with v as (select nextval('rows_n_seq') n) insert into rows select n, repeat(md5(n::text), 20 + (n % 2000)::int) from v returning 1;\n";
    while (running.on) {
      child.stdin.write(next);
      const { done } = await lines.next();
      if (done) break;
      this.#committed++;
      this.totals.rows++;
    }
    child.kill();
  }

  async #bench(running) {
    while (running.on) {
      const child = spawn("pgbench", ["-n", "-c", "2", "-t", "50"], {
        env: this.#env,
        stdio: ["ignore", "ignore", "ignore"],
      });
      const status = await new Promise((resolve) => child.once("exit", resolve));
      if (status === 0) this.totals.transactions += 100;
      else await sleep(20);
    }
  }

  async work(running, life) {
    await Promise.all([this.#insert(running), this.#bench(running)]);
    if (running.on && !life.isRunning()) throw new Error("it ended by itself");
  }

  /** Its backends have groups of their own; who is left over notices that the first process is gone. */
  async kill(life, random) {
    const children = random() < 0.5 ? childrenOf(life.child.pid) : [];
    life.child.kill("SIGKILL");
    for (const pid of children) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has noticed already.
      }
    }
    await life.ended;
    while (directoryUsers(this.data).length > 0) await sleep(20);
  }

  summary() {
    const { rows, transactions } = this.totals;
    return `${rows} rows committed, all there; ${transactions} transactions of pgbench and more under way`;
  }
}

function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

/** Processes that work in a directory: a server and its backends. */
function directoryUsers(directory) {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`) === directory;
    } catch {
      return false;
    }
  });
}
