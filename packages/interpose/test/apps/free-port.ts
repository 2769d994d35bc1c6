// A port of the loopback for a program that is started with its number.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** A port that was free a moment ago, from below those that the kernel gives to connections while the program starts. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const isFree = await new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
