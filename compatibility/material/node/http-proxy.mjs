// Client, proxy and server, each connection kept alive; bodies up and down, chunked and of known length, in parallel.
import { Agent, createServer, request } from "node:http";
import { bytes, hashOf, listen, report } from "./support.mjs";

const body = bytes(3, 3_000_001);
const origin = createServer(async (incoming, outgoing) => {
  if (incoming.method === "PUT") return void outgoing.end(await hashOf(incoming));
  const size = Number(incoming.url.slice(1));
  if (size % 2 === 0) outgoing.setHeader("content-length", size);
  for (let at = 0; at < size; at += 300_000) outgoing.write(body.subarray(at, Math.min(size, at + 300_000)));
  outgoing.end();
});
const originPort = await listen(origin);
const agent = new Agent({ keepAlive: true, maxSockets: 3 });
const proxy = createServer((incoming, outgoing) => {
  const { method, url, headers } = incoming;
  const onward = request({ port: originPort, host: "127.0.0.1", method, path: url, headers, agent }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  incoming.pipe(onward);
});
const port = await listen(proxy);
const clients = new Agent({ keepAlive: true, maxSockets: 4 });

function ask(method, path, payload) {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: "127.0.0.1", method, path, agent: clients }, async (answer) => {
      const sum = method === "GET" ? await hashOf(answer) : Buffer.concat(await answer.toArray()).toString();
      resolve(`${method} ${path} ${answer.statusCode} ${sum}`);
    });
    asked.on("error", reject).end(payload);
  });
}

for (const size of [0, 1, 16_384, 65_536, 1_000_000, 1_000_001, 3_000_000]) report("get", await ask("GET", `/${size}`));
const many = Array.from({ length: 24 }, (_, i) =>
  i % 3 === 0 ? ask("PUT", `/${i}`, body.subarray(0, 100_000 * i)) : ask("GET", `/${100_003 * i}`),
);
for (const line of await Promise.all(many)) report("parallel", line);
agent.destroy();
clients.destroy();
proxy.close();
origin.close();
