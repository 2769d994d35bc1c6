import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Context, Program } from "../program.js";
import { bytesOfSeed, sha256 } from "../stream.js";

const binaries = "/usr/lib/postgresql/15/bin";

/** The server refuses root. As another user it gets the right to userfaultfd as an ambient capability. */
function asPostgres(command: string, args: string[]): [string, string[]] {
  if (process.getuid?.() !== 0) return [command, args];
  const who = ["--reuid=postgres", "--regid=postgres", "--init-groups"];
  const rights = ["--inh-caps=+sys_ptrace", "--ambient-caps=+sys_ptrace"];
  return ["setpriv", [...who, ...rights, command, ...args]];
}

/** Large values in and out, as text and binary, by COPY and by cursors; each line of output is a hash or a count. */
const largeValues = `
create table blobs(id int primary key, data bytea);
alter table blobs alter data set storage external;
insert into blobs select i, decode(repeat(md5(i::text), 10000 + i * 5000), 'hex') from generate_series(1, 15) i;
\\copy blobs to 'blobs.text'
\\copy blobs to 'blobs.binary' (format binary)
create table again(like blobs);
\\copy again from 'blobs.text'
create table third(like blobs);
\\copy third from 'blobs.binary' (format binary)
select count(*), md5(string_agg(md5(data), ',' order by id)) from blobs;
select count(*), md5(string_agg(md5(data), ',' order by id)) from again;
select count(*), md5(string_agg(md5(data), ',' order by id)) from third;
update blobs set data = data || data where id % 3 = 0;
begin;
declare c cursor for select id, data from blobs order by id;
fetch 20 from c;
fetch all from c;
commit;
select lo_import('blobs.binary') as large \\gset
select md5(lo_get(:large));
\\lo_export :large exported
set work_mem = '64kB';
select md5(string_agg(data::text, '' order by md5(data))) from blobs;
create index on again(md5(data));
vacuum full again;
checkpoint;
select md5(string_agg(md5(data), ',' order by id)) from again;
`;

const bench = `
\\set aid random(1, 100000 * :scale)
\\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :aid;
update pgbench_tellers set tbalance = tbalance + :delta where tid = 1 + :aid % 10;
update pgbench_branches set bbalance = bbalance + :delta where bid = 1;
insert into pgbench_history(tid, bid, aid, delta, mtime) values (1 + :aid % 10, 1, :aid, :delta, current_timestamp);
insert into rows(data) values (decode(repeat(md5(:aid::text), 2000 + :aid % 9000), 'hex'));
end;
select id, data from rows order by id desc limit 1;
`;

async function runServer(
  context: Context,
): Promise<{ same: Record<string, string>; failed: string[]; checks: number }> {
  const { directory } = context;
  const [data, socket, scratch] = ["data", "socket", "client"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const same: Record<string, string> = {};
  const failed: string[] = [];
  let checks = 0;
  const check = (name: string, good: boolean) => {
    checks++;
    if (!good) failed.push(name);
  };
  const owner = (await context.succeed("id", ["-u", "postgres"], { plain: true })).stdout.toString().trim();
  for (const path of [data, socket, scratch]) {
    mkdirSync(path, { mode: 0o700 });
    if (process.getuid?.() === 0) chownSync(path, Number(owner), Number(owner));
  }
  chmodSync(directory, 0o755);
  await context.succeed(...asPostgres(`${binaries}/initdb`, ["-D", data, "-A", "trust", "-k", "--no-sync"]));
  const settings = { listen_addresses: "", unix_socket_directories: socket, fsync: "off", shared_buffers: "32MB" };
  const words = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const start = async () => {
    const server = context.start(...asPostgres(`${binaries}/postgres`, ["-D", data, ...words]));
    await context.succeed(
      "bash",
      ["-c", `for i in $(seq 200); do ${binaries}/pg_isready -q -h "$1" && exit; sleep 0.1; done; exit 1`, "-", socket],
      { plain: true },
    );
    return server;
  };
  const env = { PGHOST: socket, PGUSER: "postgres", PGDATABASE: "postgres" };
  const psql = async (name: string, sql: string) => {
    const { status, stdout, stderr } = await context.run("psql", ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"], {
      env,
      stdin: sql,
      cwd: scratch,
    });
    same[name] = `${status} ${stdout.length < 200 ? stdout.toString() : sha256(stdout)} ${stderr}`;
    return stdout.toString();
  };

  let server = await start();
  const values = await psql("large values", largeValues);
  check("COPY gives the same rows", new Set(values.split("\n").slice(0, 3)).size === 1);
  await psql(
    "a large literal",
    `select length(x), md5(x) from (select '${bytesOfSeed(3, 3_000_000).toString("hex")}' x) y;`,
  );
  await psql("a table for pgbench", "create table rows(id serial primary key, data bytea);");
  await context.succeed("pgbench", ["-i", "-q", "-s", "1"], { env });
  writeFileSync(join(scratch, "bench.sql"), bench);
  for (const mode of ["simple", "extended", "prepared"]) {
    const args = ["-n", "-c", "4", "-j", "2", "-t", "40", "-M", mode, "-f", join(scratch, "bench.sql")];
    const { status, stderr } = await context.run("pgbench", args, { env });
    same[`pgbench ${mode}`] = `${status} ${stderr.includes("ERROR")}`;
  }
  const sums = await psql(
    "sums after pgbench",
    `select count(*), (select sum(abalance) from pgbench_accounts) = sum(delta), (select sum(bbalance) from
     pgbench_branches) = sum(delta), (select sum(tbalance) from pgbench_tellers) = sum(delta) from pgbench_history;`,
  );
  check("every balance is the sum of its changes", sums.startsWith("480|t|t|t"));
  const whole = "substr(encode(data, 'hex'), 1, 32)";
  const broken = await psql(
    "broken rows",
    `select count(*) from rows where data <> decode(repeat(${whole}, length(data) / 16), 'hex');`,
  );
  check("every row is whole", broken.trim() === "0");

  // Each dump has a random word in the lines that restrict psql.
  const hashed = "grep -av '^.\\(un\\)\\?restrict ' | sha256sum";
  const dump = await context.run("bash", ["-c", `pg_dump -t blobs -t again | ${hashed}`], { env });
  same["pg_dump"] = `${dump.status} ${dump.stdout}`;
  const packed = await context.run("bash", ["-c", `pg_dump -Fc -t third | pg_restore -f - | ${hashed}`], { env });
  same["pg_dump and pg_restore"] = `${packed.status} ${packed.stdout}`;
  const backup = await context.run("pg_basebackup", ["-D", join(scratch, "backup"), "-c", "fast", "-X", "fetch"], {
    env,
  });
  same["pg_basebackup"] = `${backup.status} ${backup.stderr}`;
  const verified = await context.run(`${binaries}/pg_verifybackup`, ["-q", join(scratch, "backup")], { plain: true });
  check("the backup is verified", verified.status === 0);
  const end = await server.stop("SIGINT");
  same.end = `${end.status} ${end.signal}`;
  const sums2 = await context.run(...asPostgres(`${binaries}/pg_checksums`, ["-c", "-D", data]));
  check("every page has its checksum", sums2.status === 0);
  server = await start();
  await psql("after a restart", "select md5(string_agg(md5(data), ',' order by id)) from blobs;");
  await server.stop("SIGINT");
  check("the backup directory is there", readdirSync(join(scratch, "backup")).length > 10);
  return { checks, failed, same };
}

export const postgres: Program = {
  name: "postgres",
  title: "PostgreSQL",
  what:
    "server and clients: large bytea rows by INSERT, COPY (text, binary), cursors and large objects; pgbench in three " +
    "protocols with sums and rows checked; pg_dump, pg_restore, pg_basebackup verified; page checksums, restart",
  debianPackages: ["postgresql-15", "postgresql-client-15", "util-linux"],
  run: runServer,
};
