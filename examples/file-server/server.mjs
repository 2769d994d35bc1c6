// Serves the files below a directory: `node server.mjs --root DIRECTORY [--port N] [--zio]`. Each is read in large pieces
// and sent as it is.
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import { readOptions, serve } from "../listen.mjs";

const { root, port } = readOptions("root");
const pieceBytes = 512 << 10;

/** The file that a URL names; never one above the root. */
function pathOf(url) {
  const { pathname } = new URL(url, "http://localhost");
  return join(root, normalize(join("/", decodeURIComponent(pathname))));
}

async function answer({ method, url }, outgoing) {
  if (method !== "GET" && method !== "HEAD") return outgoing.writeHead(405).end();
  const file = await open(pathOf(url)).catch(() => undefined);
  if (file === undefined) return outgoing.writeHead(404).end();
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return outgoing.writeHead(404).end();
    outgoing.writeHead(200, { "content-length": stats.size, "content-type": "application/octet-stream" });
    if (method === "HEAD" || stats.size === 0) return outgoing.end();
    // A file that grows meanwhile ends where the header says.
    const pieces = file.createReadStream({ highWaterMark: pieceBytes, end: stats.size - 1, autoClose: false });
    await pipeline(pieces, outgoing);
  } finally {
    await file.close();
  }
}

const server = createServer((incoming, outgoing) => {
  answer(incoming, outgoing).catch(() => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(400).end()));
});
await serve(server, port);
