// A server behind the proxy and clients before it: downloads and uploads of a megabyte, four at a time, each compared.
import { Agent, createServer, request } from "node:http";
import { buffer } from "node:stream/consumers";
import { check, contentOf } from "../content.mjs";
import { listen } from "../listen.mjs";

const bodyBytes = (1 << 20) + 77;
const atATime = 4;

/** Answers GET with the content of the seed that the path names, and everything else with its own body. */
function startOrigin() {
  return createServer(async (incoming, outgoing) => {
    const body =
      incoming.method === "GET" ? contentOf(Number(incoming.url.slice(1)), bodyBytes) : await buffer(incoming);
    outgoing.writeHead(200, { "content-length": body.length }).end(body);
  });
}

function exchange(port, agent, method, seed, body) {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, method, path: `/${seed}`, agent };
    request(options, (answer) => buffer(answer).then(resolve, reject))
      .on("error", reject)
      .end(body);
  });
}

export async function open() {
  const origin = startOrigin();
  const originPort = await listen(origin);
  const agent = new Agent({ keepAlive: true, maxSockets: atATime });
  let seed = 0;

  async function once(port) {
    const [down, up] = [seed++, seed++];
    check(await exchange(port, agent, "GET", down), contentOf(down, bodyBytes), "a download");
    const body = contentOf(up, bodyBytes);
    check(await exchange(port, agent, "POST", up, body), body, "an upload that comes back");
    return 3 * bodyBytes;
  }

  return {
    program: new URL("proxy.mjs", import.meta.url),
    args: ["--target", `http://127.0.0.1:${originPort}`],
    /** Exchanges messages and gives the bytes that the proxy passed on. */
    async round(port) {
      const passed = await Promise.all(Array.from({ length: atATime }, () => once(port)));
      return passed.reduce((sum, bytes) => sum + bytes, 0);
    },
    close() {
      agent.destroy();
      origin.close();
      origin.closeAllConnections();
    },
  };
}
