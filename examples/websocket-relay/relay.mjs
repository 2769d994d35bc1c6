// One source, many listeners: `node relay.mjs --source http://127.0.0.1:8080 [--port N] [--zio]` takes the messages of one
// WebSocket server and hands each to every client. A server's frames are not masked, so the relay passes them on as they
// came. The slowest client sets the pace.
import { createServer, request } from "node:http";
import { readOptions, serve } from "../listen.mjs";
import { acceptKey, FrameReader, maskedControlFrame, opcodes } from "./frames.mjs";

const { source, port } = readOptions("source");
const clients = new Set();

function join(socket) {
  const frames = new FrameReader();
  clients.add(socket);
  socket.on("close", () => clients.delete(socket));
  socket.on("error", () => {}); // "close" follows
  socket.on("data", (chunk) => {
    for (const { opcode } of frames.push(chunk)) if (opcode === opcodes.close) socket.end(Buffer.from([0x88, 0]));
  });
}

const drained = (socket) => new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));

/** A client that joins in the middle of a message gets the next one. */
let isInMessage = false;
let listeners = [];

async function handOn(frame) {
  if (!isInMessage) listeners = [...clients];
  isInMessage = !frame.isFinal;
  const full = listeners.filter((client) => client.writable && !client.write(frame.bytes));
  await Promise.all(full.map(drained));
}

async function follow(socket, head) {
  const frames = new FrameReader();
  const take = async (chunk) => {
    for (const frame of frames.push(chunk)) {
      if (frame.opcode === opcodes.close) return socket.end();
      if (frame.opcode === opcodes.ping) socket.write(maskedControlFrame(opcodes.pong, frame.payload));
      else if (frame.opcode < opcodes.close) await handOn(frame);
    }
  };
  if (head.length > 0) await take(head);
  for await (const chunk of socket) await take(chunk);
  for (const client of clients) client.end(Buffer.from([0x88, 0]));
}

const server = createServer((_, answer) => answer.writeHead(426).end("this is a WebSocket\n"));
server.on("upgrade", ({ headers }, socket) => {
  const accept = acceptKey(headers["sec-websocket-key"] ?? "");
  const lines = ["Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`];
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("\r\n")}\r\n\r\n`);
  join(socket);
});

const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": 13 };
const asked = request(source, { headers: { ...headers, "sec-websocket-key": "emlvIGV4YW1wbGUgcmVsYXk=" } });
asked.on("upgrade", (_, socket, head) => {
  follow(socket, head).catch((error) => {
    console.error(`the source: ${error.message}`);
    process.exitCode = 1;
    server.close();
  });
});
asked.on("response", ({ statusCode }) => asked.destroy(new Error(`the source answers ${statusCode}`)));
asked.end();
await serve(server, port);
