// HTTP/2 without TLS: many streams in one connection, flow control, both directions.
import { connect, createServer } from "node:http2";
import { bytes, hash, hashOf, listen, report } from "./support.mjs";

const data = bytes(7, 4_000_003);
const server = createServer({ maxSessionMemory: 200, settings: { initialWindowSize: 1 << 20 } });
server.on("stream", async (stream, headers) => {
  stream.respond({ ":status": 200 });
  if (headers[":method"] === "PUT") return stream.end(await hashOf(stream));
  stream.end(data.subarray(0, Number(headers[":path"].slice(1))));
});
const port = await listen(server);
const session = connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 200 });
const ask = async (method, size) => {
  const stream = session.request({ ":method": method, ":path": `/${size}` });
  if (method === "PUT") stream.end(data.subarray(0, size));
  const answer = Buffer.concat(await stream.toArray());
  return `${method} ${size} ${method === "PUT" ? answer : hash(answer)}`;
};
for (const size of [1, 20_000, 65_535, 1_000_000, 4_000_000]) {
  report("one", await ask("GET", size));
  report("one", await ask("PUT", size));
}
const many = Array.from({ length: 30 }, (_, i) => ask(i % 2 ? "GET" : "PUT", 130_001 * i));
for (const line of await Promise.all(many)) report("at once", line);
session.close();
server.close();
