// What programs do with what they receive: copy, move within, fill, compare, search, slice, and send again.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { bytes, collect, hash, listen, report } from "./support.mjs";

const server = createServer({ allowHalfOpen: true }, async (socket) => socket.end(await collect(socket)));
const port = await listen(server);
async function through(data) {
  const socket = connect(port, "127.0.0.1");
  socket.end(data);
  return collect(socket);
}
let data = bytes(10, 3_000_017);
for (let round = 0; round < 6; round++) {
  data = await through(data);
  data.copyWithin(1000 * round, 500_000, 2_000_000);
  data.fill(round, 2_100_000, 2_200_000);
  const twice = Buffer.concat([data, data.subarray(4096, 1_000_000)]);
  const back = Buffer.from(twice);
  back.swap32 && back.subarray(0, 1 << 20).swap32();
  report(
    `round ${round}`,
    `${hash(twice)} ${hash(back)} ${twice.indexOf(data.subarray(2_500_000, 2_500_032))} ${twice.compare(back)}`,
  );
  data = twice.subarray(round, round + 3_000_017);
}
const onread = Buffer.alloc(262_144);
const kept = [];
function keep(length, buffer) {
  kept.push(Buffer.from(buffer.subarray(0, length)));
  return true;
}
const socket = connect({
  port,
  host: "127.0.0.1",
  onread: { buffer: onread, callback: keep },
});
socket.end(bytes(11, 6_000_000));
await once(socket, "close");
report("one buffer for all reads", hash(Buffer.concat(kept)));
server.close();
