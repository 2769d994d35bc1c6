// A cluster: forked servers share a listening socket; handles are passed between processes.
import cluster from "node:cluster";
import { createServer, get } from "node:http";
import { bytes, hash, hashOf, report } from "./support.mjs";

const data = bytes(12, 2_000_003);
if (cluster.isPrimary) {
  const workers = [cluster.fork(), cluster.fork()];
  const port = await new Promise((resolve) => {
    let ready = 0;
    cluster.on("listening", (_, address) => ++ready === workers.length && resolve(address.port));
  });
  const ask = (i) =>
    new Promise((resolve, reject) => {
      get({ port, host: "127.0.0.1", path: `/${i * 100_000}`, agent: false }, async (answer) =>
        resolve(await hashOf(answer)),
      ).on("error", reject);
    });
  for (const line of await Promise.all(Array.from({ length: 16 }, (_, i) => ask(i + 1)))) report("answer", line);
  report("whole", hash(data));
  for (const worker of workers) worker.kill();
} else {
  createServer((incoming, outgoing) => outgoing.end(data.subarray(0, Number(incoming.url.slice(1))))).listen(
    0,
    "127.0.0.1",
  );
}
