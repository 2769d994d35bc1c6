// What the three servers share: the words of the command line, and the line that names the port.
import { once } from "node:events";
import { parseArgs } from "node:util";
import { ensureActive } from "@zio/runtime";

/**
 * The options of a server: those named, `--port`, and `--zio`, with which the program starts itself again under zIO. To be
 * called first.
 */
export function readOptions(...names) {
  const named = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  const options = { ...named, port: { type: "string", default: "0" }, zio: { type: "boolean", default: false } };
  const { values } = parseArgs({ options });
  for (const name of names) if (values[name] === undefined) throw new Error(`--${name} is missing`);
  if (values.zio) {
    const result = ensureActive();
    if (!result.active) console.error(`without zIO: ${result.reason}`);
  }
  return { ...values, port: Number(values.port) };
}

export async function listen(server, port = 0) {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

/** Listens, prints `port N`, and ends the process when it is asked to. */
export async function serve(server, port) {
  console.log(`port ${await listen(server, port)}`);
  process.once("SIGTERM", () => process.exit(0));
}
