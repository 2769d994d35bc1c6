// A reverse proxy: `node proxy.mjs --target http://127.0.0.1:8080 [--port N] [--zio]`. Bodies stream through in both
// directions and are never looked at.
import { Agent, createServer, request } from "node:http";
import { pipeline } from "node:stream";
import { readOptions, serve } from "../listen.mjs";

const { target, port } = readOptions("target");
const agent = new Agent({ keepAlive: true });

/** Headers that belong to one connection and not to the message. */
const ofTheConnection = new Set(["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"]);

function endToEnd(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofTheConnection.has(name)));
}

const proxy = createServer((incoming, outgoing) => {
  const { method, headers } = incoming;
  const onward = request(new URL(incoming.url, target), { method, headers: endToEnd(headers), agent }, (answer) => {
    outgoing.writeHead(answer.statusCode, endToEnd(answer.headers));
    // A body that breaks off ends its connection: the client sees that it is not whole.
    pipeline(answer, outgoing, (error) => error && outgoing.destroy());
  });
  onward.on("error", () => {
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(502).end();
  });
  outgoing.on("close", () => outgoing.writableFinished || onward.destroy());
  incoming.pipe(onward);
});
await serve(proxy, port);
