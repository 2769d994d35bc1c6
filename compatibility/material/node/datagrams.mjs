// Datagrams stay whole and in order; Unix sockets; objects between processes.
import { fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { bytes, collect, hash, report } from "./support.mjs";

if (process.argv[2] === "child") {
  process.on("message", (message) => process.send({ length: message.text.length, text: message.text }));
} else {
  const data = bytes(8, 5_000_000);
  const receiver = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  receiver.bind(0, "127.0.0.1");
  await once(receiver, "listening");
  const sender = createSocket("udp4");
  for (const size of [1, 1472, 16_384, 32_768, 60_000, 65_507, 3]) {
    sender.send(data.subarray(size, 2 * size), receiver.address().port, "127.0.0.1");
    const [message] = await once(receiver, "message");
    report(`datagram of ${size}`, `${message.length} ${hash(message)}`);
  }
  sender.close();
  receiver.close();

  const server = createServer({ allowHalfOpen: true }, async (socket) => socket.end(await collect(socket)));
  server.listen("socket");
  await once(server, "listening");
  const socket = connect("socket");
  socket.end(data);
  report("unix socket", hash(await collect(socket)));
  server.close();

  const child = fork(new URL(import.meta.url), ["child"], { serialization: "advanced" });
  for (let i = 1; i < 6; i++) {
    const text = data.toString("base64", 0, i * 400_000);
    child.send({ text });
    const [answer] = await once(child, "message");
    report(`message ${i}`, `${answer.length} ${hash(answer.text)}`);
  }
  child.kill();
}
