import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { atOnce, bodyOf, Checks, type Exchange, exchange, startBackend } from "../http.js";
import type { Context, Program } from "../program.js";

const paths = ["/1/0", "/2/1000", "/3/16384", "/4/65536", "/5/700001", "/6/5000000"] as const;
const front = ["http", "tcp", "tls", "waits", "compressed"] as const;
type Ports = Record<(typeof front)[number], number> & { backend: number };

/** Buffers of `bufferBytes`: HAProxy's own size is the threshold of zIO. */
function configuration(directory: string, ports: Ports, bufferBytes: number, splice: boolean): string {
  const options = splice ? "option splice-auto" : "";
  const server = `server one 127.0.0.1:${ports.backend}`;
  const user = process.getuid?.() === 0 ? "user haproxy\n  group haproxy" : "";
  return `
global
  nbthread 2
  maxconn 200
  tune.bufsize ${bufferBytes}
  ${splice ? "" : "nosplice"}
  ${user}
  log 127.0.0.1:1 local0 emerg
defaults
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  ${options}
frontend http
  mode http
  bind 127.0.0.1:${ports.http}
  default_backend http
frontend tls
  mode http
  bind 127.0.0.1:${ports.tls} ssl crt ${directory}/both.pem
  default_backend http
frontend waits
  mode http
  bind 127.0.0.1:${ports.waits}
  option http-buffer-request
  default_backend http
frontend compressed
  mode http
  bind 127.0.0.1:${ports.compressed}
  filter compression
  compression algo gzip
  compression type application/octet-stream
  default_backend closing
backend http
  mode http
  ${server}
backend closing
  mode http
  option httpclose
  http-response set-header content-type application/octet-stream
  ${server}
frontend tcp
  mode tcp
  bind 127.0.0.1:${ports.tcp}
  default_backend tcp
backend tcp
  mode tcp
  ${server}
`;
}

async function through(checks: Checks, ports: Ports, title: string): Promise<void> {
  const tasks: (() => Promise<void>)[] = [];
  for (const name of front) {
    const where = { port: ports[name], tls: name === "tls" };
    const ask = (what: string, wanted: Omit<Exchange, "port">) =>
      tasks.push(() => checks.download(`${title}, ${name}: ${what}`, { ...where, ...wanted }));
    for (const path of paths) {
      ask(`GET ${path}`, { path });
      ask(`GET ${path} again`, { path });
      ask(`GET ${path} slowly`, { path, pauseMs: 3 });
    }
    ask("GET chunked", { path: "/7/3000000chunked" });
    tasks.push(() => exchange({ ...where, path: "/6/5000000", abandonAfter: 300_000 }).then(() => undefined));
    for (const length of [1000, 65536, 400_000, 3_000_001]) {
      const body = bodyOf(`/20/${length}`);
      tasks.push(() => checks.upload(`${title}, ${name}: PUT ${length}`, { ...where, path: "/put", body }));
      tasks.push(() => checks.upload(`${title}, ${name}: PUT ${length} slow`, { ...where, path: "/slow", body }));
      const headers = { "transfer-encoding": "chunked" };
      tasks.push(() =>
        checks.upload(`${title}, ${name}: PUT ${length} chunked`, { ...where, path: "/put", body, headers }),
      );
    }
  }
  await atOnce(6, tasks);
}

async function certificate({ directory, succeed }: Context): Promise<void> {
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  words.push("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem");
  await succeed("openssl", words, { plain: true });
  const both = ["cert.pem", "key.pem"].map((name) => readFileSync(join(directory, name), "utf8"));
  writeFileSync(join(directory, "both.pem"), both.join(""));
}

export const haproxy: Program = {
  name: "haproxy",
  title: "HAProxy",
  what:
    "two threads, started as root: HTTP, TCP, TLS, request buffering and compression in front of a server, buffers of 16 " +
    "and 256 KiB, with splice and without; downloads, uploads, slow and vanishing clients, reload by a new process",
  debianPackages: ["haproxy", "openssl"],

  async run(context) {
    const backend = await startBackend();
    const checks = new Checks(context.log);
    try {
      await certificate(context);
      chmodSync(context.directory, 0o755);
      mkdirSync(join(context.directory, "empty"));
      for (const [bufferBytes, splice] of [
        [262_144, false],
        [16_384, false],
        [262_144, true],
      ] as const) {
        const title = `${bufferBytes >> 10} KiB${splice ? " with splice" : ""}`;
        const ports = { backend: backend.port } as Ports;
        for (const name of front) ports[name] = await context.freePort();
        const file = join(context.directory, `${bufferBytes}-${splice}.cfg`);
        writeFileSync(file, configuration(context.directory, ports, bufferBytes, splice));
        const server = context.start("haproxy", ["-db", "-f", file]);
        await context.untilListening(ports.tcp);
        await through(checks, ports, title);
        const wanted = { port: ports.http, path: "/6/5000000", pauseMs: 5 };
        const last = checks.download(`${title}: GET while the process is replaced`, wanted);
        await sleep(200);
        const next = context.start("haproxy", ["-db", "-f", file, "-sf", String(server.pid)]);
        await last;
        const old = await server.finished;
        checks.same[`${title}: end of the old process`] = `${old.status} ${old.signal}`;
        await checks.download(`${title}: GET from the new process`, { port: ports.http, path: "/6/5000000" });
        const end = await next.stop("SIGUSR1");
        checks.same[`${title}: end`] = `${end.status} ${end.signal}`;
      }
      return checks.outcome;
    } finally {
      backend.close();
    }
  },
};
