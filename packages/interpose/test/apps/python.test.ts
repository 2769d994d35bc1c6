// An unmodified Python server that joins and slices messages of 512 KiB.
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { type AppSession, describeApp } from "./app-session.js";
import { contentOf, expectSame } from "./content.js";

const program = fileURLToPath(new URL("programs/join_and_slice.py", import.meta.url));
const messageBytes = 512 << 10;
const stride = 4096;

function expectedAnswer(message: Buffer): Buffer {
  const half = messageBytes / 2;
  const sampled = Buffer.from(Array.from({ length: messageBytes / stride }, (_, index) => message[index * stride]!));
  return Buffer.concat([message.subarray(half), message.subarray(0, half), sampled]);
}

async function exchange(port: number, way: string, messages: number, seed: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  socket.write(`${way}\n`);
  for (let number = 0; number < messages; number++) {
    const message = contentOf(seed * 1000 + number, messageBytes);
    const expected = expectedAnswer(message);
    socket.write(message);
    const answer: Buffer[] = [];
    for (let missing = expected.length; missing > 0; missing -= answer.at(-1)!.length) {
      const { value, done } = await chunks.next();
      if (done) throw new Error(`the server closed the connection ${missing} bytes before the end of answer ${number}`);
      answer.push(value);
    }
    expectSame(Buffer.concat(answer), expected, `answer ${number} by ${way}`);
  }
  socket.destroy();
}

async function startServer(session: AppSession): Promise<number> {
  const line = await session.start("python3", [program]).firstLine;
  return Number(/^port (\d+)$/.exec(line)?.[1]);
}

const app = {
  programs: ["python3"],
  evidence: { redirectedBytes: 20 * messageBytes, elidedBytes: 20 * messageBytes },
  withoutMove: true,
};

describeApp("python3 joins and slices messages", app, async (session) => {
  const port = await startServer(session);
  for (const [seed, way] of ["join", "concatenate", "extend", "into", "file"].entries())
    await exchange(port, way, 40, seed);
});

describeApp("python3 does so in several threads at once", app, async (session) => {
  const port = await startServer(session);
  const ways = ["join", "concatenate", "join", "into", "extend", "join"];
  await Promise.all(ways.map((way, seed) => exchange(port, way, 25, seed)));
});
