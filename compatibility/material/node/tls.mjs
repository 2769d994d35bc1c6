// TLS 1.2 and 1.3 with a pre-shared key: an echo and a proxy that ends TLS on both sides.
import { connect as connectPlain, createServer as createPlain } from "node:net";
import { connect, createServer } from "node:tls";
import { bytes, collect, hash, listen, report } from "./support.mjs";

const key = Buffer.from("a1b2c3d4e5f60718a1b2c3d4e5f60718", "hex");
const data = bytes(6, 6_000_013);
for (const version of ["TLSv1.2", "TLSv1.3"]) {
  const range = { minVersion: version, maxVersion: version, ciphers: version === "TLSv1.2" ? "PSK" : undefined };
  const pair = { pskCallback: () => ({ psk: key, identity: "a" }), checkServerIdentity: () => undefined, ...range };
  const server = createServer(
    { pskCallback: () => key, pskIdentityHint: "", allowHalfOpen: true, ...range },
    async (socket) => socket.end(await collect(socket)),
  );
  server.on("tlsClientError", (error) => report("error", error.code));
  const port = await listen(server);
  try {
    const socket = connect({ port, host: "127.0.0.1", ...pair, allowHalfOpen: true });
    socket.end(data);
    report(version, hash(await collect(socket)));
  } catch (error) {
    report(version, error.code);
  }
  const front = createPlain({ allowHalfOpen: true }, (client) => {
    const onward = connect({ port, host: "127.0.0.1", ...pair, allowHalfOpen: true });
    client.pipe(onward).pipe(client);
    onward.on("error", () => client.destroy());
  });
  const frontPort = await listen(front);
  const plain = connectPlain({ port: frontPort, host: "127.0.0.1", allowHalfOpen: true });
  plain.on("error", () => {});
  plain.end(data);
  report(`${version} behind a proxy`, hash(await collect(plain).catch(() => Buffer.alloc(0))));
  front.close();
  server.close();
}
