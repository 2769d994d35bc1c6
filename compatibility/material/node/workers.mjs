// Worker threads: data that arrived in one thread is transferred to, copied by and sent from others.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { bytes, collect, hash, listen, report } from "./support.mjs";

if (!isMainThread) {
  if (workerData?.port) {
    const socket = connect(workerData.port, "127.0.0.1");
    socket.end(bytes(workerData.seed, 2_000_000 + workerData.seed));
    parentPort.postMessage(hash(await collect(socket)));
  } else {
    parentPort.on("message", (message) => {
      if (message === null) return parentPort.close();
      const view = new Uint8Array(message);
      const copy = view.slice();
      view.reverse();
      parentPort.postMessage({ copy: copy.buffer, reversed: view.buffer }, [copy.buffer, view.buffer]);
    });
  }
} else {
  const self = new URL(import.meta.url);
  const server = createServer({ allowHalfOpen: true }, async (socket) => socket.end(await collect(socket)));
  const port = await listen(server);
  const workers = [1, 2, 3, 4, 5].map((seed) => new Worker(self, { workerData: { port, seed } }));
  const answers = await Promise.all(workers.map((worker) => once(worker, "message")));
  for (const [index, [answer]] of answers.entries()) report(`worker ${index}`, answer);

  const helper = new Worker(self);
  for (let round = 0; round < 12; round++) {
    const socket = connect(port, "127.0.0.1");
    socket.end(bytes(round, 300_000 * (round + 1)));
    const got = await collect(socket);
    const moved = new Uint8Array(got).buffer;
    helper.postMessage(moved, [moved]);
    const [{ copy, reversed }] = await once(helper, "message");
    report(`round ${round}`, `${hash(got)} ${hash(Buffer.from(copy))} ${hash(Buffer.from(reversed))}`);
  }
  helper.postMessage(null);

  const shared = new SharedArrayBuffer(4 << 20);
  const all = Buffer.from(shared);
  const socket = connect(port, "127.0.0.1");
  socket.end(bytes(9, 4 << 20));
  let at = 0;
  for await (const chunk of socket) at += chunk.copy(all, at);
  report("shared", `${at} ${hash(all)}`);
  server.close();
}
