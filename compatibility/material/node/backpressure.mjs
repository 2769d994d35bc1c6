// A sender that is faster than its receiver: paused sockets, small and large water marks, half-closed connections.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { bytes, collect, hash, listen, report } from "./support.mjs";

const data = bytes(2, 12_000_007);

async function transfer(name, { readable, pauses, pieces }) {
  const server = createServer({ allowHalfOpen: true, highWaterMark: readable }, async (socket) => {
    const chunks = [];
    let seen = 0;
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk);
      if (pauses && ++seen % 40 === 0) await sleep(2);
    }
    const all = Buffer.concat(chunks);
    socket.end(`${all.length} ${hash(all)}`);
  });
  const port = await listen(server);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const answer = collect(socket);
  for (let at = 0; at < data.length; at += pieces)
    if (!socket.write(data.subarray(at, at + pieces))) await once(socket, "drain");
  socket.end();
  report(name, (await answer).toString());
  server.close();
}

await transfer("whole", { pieces: data.length });
await transfer("slow receiver", { pauses: true, pieces: 1 << 20 });
await transfer("odd pieces", { pieces: 33_333 });
await transfer("small marks", { readable: 1024, pauses: true, pieces: 65_537 });
await transfer("large marks", { readable: 4 << 20, pieces: 262_144 });
