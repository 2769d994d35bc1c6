// Children's standard streams: large input and output at once, and three children in a row.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { bytes, collect, hash, report } from "./support.mjs";

const data = bytes(1, 5_000_003);
const echo = "process.stdin.pipe(process.stdout)";
const one = spawn(process.execPath, ["-e", echo], { stdio: ["pipe", "pipe", "inherit"] });
one.stdin.end(data);
report("through one child", hash(await collect(one.stdout)));

const twice =
  "let n=[];process.stdin.on('data',c=>n.push(c)).on('end',()=>{const b=Buffer.concat(n);process.stdout.write(b);process.stdout.write(b)})";
const [first, second, third] = [echo, twice, echo].map((code) =>
  spawn(process.execPath, ["-e", code], { stdio: ["pipe", "pipe", "inherit"] }),
);
first.stdout.pipe(second.stdin);
second.stdout.pipe(third.stdin);
first.stdin.end(data);
const out = await collect(third.stdout);
report("through three", `${out.length} ${hash(out)}`);

const cat = spawn("cat", [], { stdio: ["pipe", "pipe", "inherit"] });
const all = collect(cat.stdout);
for (let i = 0; i < 40; i++)
  if (!cat.stdin.write(data.subarray(i * 100_000, i * 100_000 + 99_999))) await once(cat.stdin, "drain");
cat.stdin.end();
report("in pieces through cat", hash(await all));
