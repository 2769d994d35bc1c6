// A port of the loopback for a server that is started with its number.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const given = new Set();

/**
 * One that was free a moment ago and is given to nobody else here, from below those that the kernel gives to connections by
 * itself: one of these may be taken while the server starts, or starts again.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    if (given.has(port)) continue;
    given.add(port);
    const isFree = await new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
