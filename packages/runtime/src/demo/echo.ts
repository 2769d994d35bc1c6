// The echo of the demo: the project's own server, which receives a message, copies it from buffer to buffer and sends the
// last copy back, and the client that checks every byte.
import { ZioError } from "@zio/core";
import { demoProgramPath } from "@zio/interpose";
import type { Measurement } from "./contender.js";
import { StartedProgram } from "./started-program.js";

export const messageBytes = 512 * 1024;

interface ServerReport {
  messages: number;
  bytes: number;
  cpuNs: number;
}

interface ClientReport {
  messages: number;
  wrongMessages: number;
  wallNs: number;
}

function program(name: Parameters<typeof demoProgramPath>[0]): string {
  const path = demoProgramPath(name);
  if (path !== undefined) return path;
  throw new ZioError(`${name} is not built; run \`npm run setup\` in the checkout`, { code: "ENOENT" });
}

/** Exchanges `messages` messages with a server that makes `copies` copies of each. */
export async function measureEcho(copies: number, messages: number, env: NodeJS.ProcessEnv): Promise<Measurement> {
  const warmup = Math.ceil(messages / 8);
  const shared = ["--message", String(messageBytes), "--warmup", String(warmup)];
  const server = new StartedProgram(program("zio-echo-server"), [...shared, "--copies", String(copies)], env);
  try {
    const port = (await server.line(/^port \d+$/)).split(" ")[1] ?? "";
    const words = [...shared, "--port", port, "--messages", String(messages), "--verify", "all", "--seconds", "10"];
    const client = new StartedProgram(program("zio-echo-client"), words, process.env);
    const received = JSON.parse(await client.end()) as ClientReport;
    const served = JSON.parse(await server.end()) as ServerReport;
    return {
      messages: served.messages,
      bytes: served.bytes,
      wallMs: received.wallNs / 1e6,
      cpuMs: served.cpuNs / 1e6,
    };
  } finally {
    await server.stop();
  }
}
