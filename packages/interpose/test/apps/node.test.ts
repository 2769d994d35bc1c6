// An unmodified node that proxies large HTTP bodies.
import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";
import { describeApp } from "./app-session.js";
import { contentOf, expectSame } from "./content.js";
import { bodyAt, startHttpOrigin } from "./http-origin.js";

const program = fileURLToPath(new URL("programs/proxy.mjs", import.meta.url));
const mebibyte = 1 << 20;
const sizes = [100_000, 524_288, mebibyte + 1, 8 * mebibyte];
const evidence = { redirectedBytes: 32 * mebibyte };

/** A request by a client of the test's own; resolves to the body of the answer. */
function exchange(port: number, method: string, path: string, body?: Buffer, agent?: Agent): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method, path, agent }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        if (answer.statusCode === 200) resolve(Buffer.concat(chunks));
        else reject(new Error(`${method} ${path}: status ${answer.statusCode}`));
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

describeApp("node proxies large bodies both ways", { programs: ["node"], evidence }, async (session) => {
  const origin = await startHttpOrigin();
  const agent = new Agent({ keepAlive: true });
  try {
    const line = await session.start("node", [program, String(origin.port)]).firstLine;
    const port = Number(/^port (\d+)$/.exec(line)?.[1]);
    for (let round = 0; round < 3; round++) {
      const exchangeAll = async (bytes: number) => {
        const path = `/${round * 10 + 1}/${bytes}`;
        for (const variant of [path, `${path}?chunked`])
          expectSame(await exchange(port, "GET", variant, undefined, agent), bodyAt(path), `download of ${variant}`);
        const body = contentOf(round * 10 + 2, bytes);
        await exchange(port, "PUT", `/upload${path}`, body, agent);
        expectSame(origin.uploads.get(`/upload${path}`) ?? null, body, `upload of ${bytes} bytes in round ${round}`);
        expectSame(await exchange(port, "POST", "/collect", body, agent), body, `collected ${bytes} bytes`);
      };
      // One after the other at first, then all at once.
      if (round === 0) for (const bytes of sizes) await exchangeAll(bytes);
      else await Promise.all(sizes.map(exchangeAll));
    }
  } finally {
    agent.destroy();
    await origin[Symbol.asyncDispose]();
  }
});
