// fetch, web streams, blobs and event-driven reading of the same data.
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { bytes, hash, hashOf, listen, report } from "./support.mjs";

const data = bytes(9, 5_000_009);
const server = createServer(async (incoming, outgoing) => {
  if (incoming.method === "POST") return void outgoing.end(await hashOf(incoming));
  Readable.from(
    (function* () {
      for (let at = 0; at < data.length; at += 123_457) yield data.subarray(at, at + 123_457);
    })(),
  ).pipe(outgoing);
});
const port = await listen(server);
const url = `http://127.0.0.1:${port}/`;
report("arrayBuffer", hash(Buffer.from(await (await fetch(url)).arrayBuffer())));
report("blob", hash(Buffer.from(await (await (await fetch(url)).blob()).slice(1000, 4_000_000).arrayBuffer())));
const [one, two] = (await fetch(url)).body.tee();
const [left, right] = await Promise.all([hashOf(Readable.fromWeb(one)), hashOf(Readable.fromWeb(two))]);
report("tee", `${left} ${right}`);
report("text", hash(await (await fetch(url)).text()));
report("post", await (await fetch(url, { method: "POST", body: data })).text());
report(
  "post a stream",
  await (
    await fetch(url, { method: "POST", body: Readable.toWeb(Readable.from([data, data])), duplex: "half" })
  ).text(),
);
report(
  "at once",
  (
    await Promise.all(Array.from({ length: 8 }, async () => hash(Buffer.from(await (await fetch(url)).arrayBuffer()))))
  ).join(" "),
);
server.closeAllConnections();
server.close();
