import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../program.js";
import { sha256, writeFileOfSeed } from "../stream.js";

// Values and page sizes are large, so that pages are read and written in pieces that zIO considers.
const fill = `
create table t(id integer primary key, kind int, body blob, text text);
with recursive n(i) as (values(1) union all select i + 1 from n where i < 400)
  insert into t select i, i % 7, zeroblob(i * 501), printf('%.*c', i * 97 % 40000, 'x') || i from n;
update t set body = cast(printf('%.*c', id * 601 % 100000, 'y') as blob) where id % 3 = 0;
create index by_text on t(text);
delete from t where id % 11 = 0;
insert into t(kind, body, text) select kind + 10, body, text || '-copy' from t;`;
const check = `pragma integrity_check; select count(*), sum(length(body)), sum(length(text)), max(id) from t;
select kind, count(*), sum(length(text)) from t group by kind order by kind;
select hex(substr(body, 1, 8)), length(body), substr(text, -12) from t order by text limit 40;`;

export const sqlite3: Program = {
  name: "sqlite3",
  title: "SQLite shell",
  what: "large rows in rollback, WAL and mmap modes, page sizes to 64 KiB, blobs from files, dump, restore, backup, archives",
  debianPackages: ["sqlite3"],

  async run(context) {
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const sqlite = async (name: string, args: string[], stdin?: string) => {
      const { status, stdout, stderr } = await context.run(
        "sqlite3",
        ["-batch", "-bail", ...args],
        stdin ? { stdin } : {},
      );
      same[name] = `${status} ${stdout.length > 2000 ? sha256(stdout) : stdout} ${stderr}`;
      if (status !== 0) failed.push(`${name} succeeds`);
      return stdout.toString();
    };
    const blob = join(context.directory, "blob");
    writeFileOfSeed(blob, 3, 5_000_001);
    for (const [mode, size] of [
      ["delete", 65_536],
      ["wal", 32_768],
      ["truncate", 16_384],
      ["off", 4096],
    ] as const) {
      const name = `${mode}, pages of ${size}`;
      const head = `pragma page_size = ${size}; pragma cache_size = 20;`;
      await sqlite(`${name}: fill`, [`${mode}.db`, `${head} pragma journal_mode = ${mode}; begin;${fill} commit;`]);
      const text = await sqlite(`${name}: check`, [`${mode}.db`, `${head} ${check}`]);
      if (!text.startsWith("ok\n")) failed.push(`${name}: integrity`);
      await sqlite(`${name}: mapped`, [`${mode}.db`, `pragma mmap_size = 100000000; ${check}`]);
      const grow = `begin; update t set body = body || body where id % 5 = 0; rollback;`;
      await sqlite(`${name}: roll back`, [`${mode}.db`, `${head} ${grow} ${check}`]);
      await sqlite(`${name}: vacuum`, [`${mode}.db`, `delete from t where kind = 3; vacuum; ${check}`]);
      await sqlite(`${name}: blob`, [
        `${mode}.db`,
        `create table f(b blob); insert into f values(readfile('blob')); select writefile('out-${mode}', b) from f;`,
      ]);
      const { status } = await context.run("cmp", ["blob", `out-${mode}`]);
      if (status !== 0) failed.push(`${name}: the blob comes back as it went in`);
      const dump = await sqlite(`${name}: dump`, [`${mode}.db`, ".dump t"]);
      await sqlite(`${name}: restore`, [`${mode}-restored.db`], dump);
      await sqlite(`${name}: restored`, [`${mode}-restored.db`, check]);
      await sqlite(`${name}: backup`, [`${mode}.db`, `.backup ${mode}-backup.db`]);
      await sqlite(`${name}: backed up`, [`${mode}-backup.db`, check]);
    }
    writeFileSync(join(context.directory, "table.csv"), "a,b\n".concat(`1,${"z".repeat(50_000)}\n`.repeat(40)));
    await sqlite("csv", [
      "csv.db",
      "-cmd",
      ".mode csv",
      "-cmd",
      ".import table.csv c",
      "select count(*), sum(length(b)) from c",
    ]);
    await sqlite("archive", ["-A", "-cf", "archive.db", "blob", "table.csv"]);
    await sqlite("archive lists", ["-A", "-tf", "archive.db"]);
    await sqlite("archive unpacks", ["-A", "-xf", "archive.db", "-C", "."]);
    return { checks: 8, failed, same };
  },
};
