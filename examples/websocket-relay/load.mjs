// A source of messages of a quarter of a megabyte behind the relay, and three listeners that compare every one.
import { once } from "node:events";
import { createServer, request } from "node:http";
import { check, contentOf } from "../content.mjs";
import { listen } from "../listen.mjs";
import { acceptKey, binaryFrame, FrameReader } from "./frames.mjs";

const messageBytes = (256 << 10) + 33;
const messages = 16;
const listenerCount = 3;

/** A source that sends what it is given to whoever has joined. */
async function startSource() {
  const server = createServer();
  const joined = once(server, "upgrade").then(([{ headers }, socket]) => {
    const accept = acceptKey(headers["sec-websocket-key"]);
    const lines = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
    return socket.on("error", () => {});
  });
  return { port: await listen(server), joined, server };
}

async function startListener(port) {
  const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": 13 };
  const asked = request({
    host: "127.0.0.1",
    port,
    headers: { ...headers, "sec-websocket-key": "bGlzdGVuZXI=" },
  }).end();
  const [, socket, head] = await once(asked, "upgrade");
  const frames = new FrameReader();
  const waiting = [];
  const arrived = [];
  const take = (chunk) => {
    for (const { payload } of frames.push(chunk)) {
      const waiter = waiting.shift();
      if (waiter) waiter(payload);
      else arrived.push(payload);
    }
  };
  if (head.length > 0) take(head);
  socket.on("data", take).on("error", () => {});
  return { socket, next: async () => arrived.shift() ?? new Promise((resolve) => waiting.push(resolve)) };
}

export async function open() {
  const source = await startSource();
  let listeners;
  let seed = 0;

  async function listenTo(each, first) {
    for (let index = first; index < first + messages; index++)
      check(await each.next(), contentOf(index, messageBytes), `message ${index}`);
  }

  return {
    program: new URL("relay.mjs", import.meta.url),
    args: ["--source", `http://127.0.0.1:${source.port}`],
    /** Sends messages and gives the bytes that the relay passed on. */
    async round(port) {
      const socket = await source.joined;
      listeners ??= await Promise.all(Array.from({ length: listenerCount }, () => startListener(port)));
      const all = Promise.all(listeners.map((each) => listenTo(each, seed)));
      for (let index = 0; index < messages; index++) socket.write(binaryFrame(contentOf(seed + index, messageBytes)));
      await all;
      seed += messages;
      return messages * messageBytes * listenerCount;
    },
    async close() {
      for (const { socket } of listeners ?? []) socket.destroy();
      source.server.close();
      source.server.closeAllConnections();
      source.joined.then((socket) => socket.destroy());
    },
  };
}
