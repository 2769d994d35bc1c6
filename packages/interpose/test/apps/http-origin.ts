// A plain HTTP server in the test's own process, whose bodies are known.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { contentOf } from "./content.js";

export interface HttpOrigin extends AsyncDisposable {
  port: number;
  /** The bodies that were uploaded, by path. */
  uploads: Map<string, Buffer>;
}

/** The body of a GET of `/SEED/BYTES`. */
export function bodyAt(path: string): Buffer {
  const [, seed = 0, bytes = 0] = path.split("/").map(Number);
  return contentOf(seed, bytes);
}

/** GET `/SEED/BYTES` sends a known body (`?chunked` without its length), PUT and POST keep theirs. */
export async function startHttpOrigin(): Promise<HttpOrigin> {
  const uploads = new Map<string, Buffer>();
  const answer = async (incoming: IncomingMessage, response: ServerResponse) => {
    const { pathname, search } = new URL(incoming.url!, "http://origin");
    if (incoming.method === "GET") {
      const body = bodyAt(pathname);
      if (search !== "?chunked") response.setHeader("content-length", body.length);
      for (let at = 0; at < body.length; at += 200_000) response.write(body.subarray(at, at + 200_000));
      response.end();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    uploads.set(pathname, Buffer.concat(chunks));
    response.end(String(uploads.get(pathname)!.length));
  };
  const server = createServer((incoming, response) => {
    answer(incoming, response).catch((error: Error) => response.destroy(error));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { port: (server.address() as AddressInfo).port, uploads, [Symbol.asyncDispose]: close };
}
