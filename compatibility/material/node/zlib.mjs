// Compression and back, through sockets, in memory and by streams.
import { connect, createServer } from "node:net";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { bytes, collect, hash, listen, report } from "./support.mjs";

const random = bytes(4, 1_500_000);
const data = Buffer.concat([random, Buffer.from("zIO ".repeat(600_000)), random.subarray(0, 700_001)]);
const pairs = {
  gzip: [zlib.createGzip, zlib.createGunzip],
  deflate: [zlib.createDeflateRaw, zlib.createInflateRaw],
  brotli: [
    () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 3 } }),
    zlib.createBrotliDecompress,
  ],
};
for (const [name, [pack, unpack]] of Object.entries(pairs)) {
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    pipeline(socket, unpack(), pack(), socket).catch(() => socket.destroy()),
  );
  const port = await listen(server);
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const packer = pack();
  packer.end(data);
  pipeline(packer, socket).catch(() => {});
  report(name, hash(await collect(socket.pipe(unpack()))));
  server.close();
}
report("in one call", hash(zlib.gunzipSync(zlib.gzipSync(data, { level: 1 }))));
report("large chunks", hash(zlib.inflateSync(zlib.deflateSync(data, { chunkSize: 1 << 20 }), { chunkSize: 1 << 20 })));
