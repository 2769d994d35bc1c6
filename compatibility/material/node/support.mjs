// What the scripts share: bytes of a seed, hashes, and servers that end with the test.
import { createHash } from "node:crypto";
import { once } from "node:events";

export function bytes(seed, length) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

export const hash = (data) => createHash("sha256").update(data).digest("hex").slice(0, 32);

// By events: an iterator would destroy the stream at its end, and with it the other direction of a socket.
function read(stream, take) {
  return new Promise((resolve, reject) => stream.on("data", take).on("error", reject).on("end", resolve));
}

export async function hashOf(stream) {
  const sum = createHash("sha256");
  let length = 0;
  await read(stream, (chunk) => {
    sum.update(chunk);
    length += chunk.length;
  });
  return `${length} ${sum.digest("hex").slice(0, 32)}`;
}

export async function collect(stream) {
  const chunks = [];
  await read(stream, (chunk) => chunks.push(chunk));
  return Buffer.concat(chunks);
}

export async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

export const report = (name, value) => console.log(`${name}: ${value}`);
