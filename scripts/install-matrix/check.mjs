// Runs in a project that installed the packages, under the Node and the package manager that are tried: loads each both
// ways, looks whether zIO works, and runs an echo server plain and under zIO with every byte verified.
import { createRequire } from "node:module";

const names = ["core", "fault-handler", "interpose", "runtime", "bench", "bypass-tas", "nvm"].map(
  (name) => `@zio/${name}`,
);
const require = createRequire(import.meta.url);
const loaded = {};
for (const name of names) {
  loaded[name] = await import(name);
  const same = require(name).packageVersion === loaded[name].packageVersion;
  if (!same) throw new Error(`${name} is another version for require than for import`);
}

const found = loaded["@zio/runtime"].capabilities();
if (!found.available && found.fix.includes("npm rebuild")) throw new Error(found.reason);
const { LazyBuffer } = loaded["@zio/fault-handler"];
const lazy = LazyBuffer.from(Buffer.alloc(1 << 20, "zIO "));
if (Buffer.from(lazy.buffer).subarray(-4).toString() !== "zIO ") throw new Error("LazyBuffer has wrong bytes");
const tree = new loaded["@zio/core"].IntervalTree();
tree.insert(4096n, 4096n, 1n);
if (tree.size !== 1) throw new Error("IntervalTree lost a view");

let elidedBytes = 0;
if (found.available) {
  const settings = { copies: [2], pairs: 1, policy: "always", messages: 40 };
  const record = await loaded["@zio/bench"].run("copies", settings);
  elidedBytes = record.rows.find(({ copies }) => copies === 2).elidedBytes.median;
  if (elidedBytes < 1_000_000) throw new Error(`only ${elidedBytes} bytes of a message with two copies were elided`);
  const { stdout, status } = await loaded["@zio/runtime"].exec("echo", ["hello"], { zio: { policy: "always" } });
  if (stdout !== "hello\n" || status !== 0) throw new Error("exec does not give the output");
}
console.log(JSON.stringify({ node: process.version, available: found.available, reason: found.reason, elidedBytes }));
