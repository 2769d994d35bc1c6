import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { atOnce, bodyOf, Checks, differenceOf, type Exchange, exchange, startBackend } from "../http.js";
import type { Context, Program } from "../program.js";

const www = 33; // www-data on every Debian
const paths = ["/1/0", "/2/1000", "/3/16384", "/4/65536", "/5/700001", "/6/5000000"] as const;

interface Ports {
  http: number;
  tls: number;
  stream: number;
  backend: number;
}

/** Workers drop their privileges when the master is root. `sendfile off`: a file's bytes pass through nginx. */
function configuration(directory: string, ports: Ports): string {
  const up = "proxy_pass http://backend/;";
  return `
daemon off; pid ${directory}/pid; error_log ${directory}/error.log notice;
user www-data; worker_processes 2; worker_shutdown_timeout 20s;
events { worker_connections 256; }
http {
  access_log off; default_type application/octet-stream; root ${directory}/root;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/f;
  uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
  client_max_body_size 0; sendfile off; output_buffers 2 512k; proxy_http_version 1.1;
  proxy_buffers 8 256k; proxy_buffer_size 64k; proxy_busy_buffers_size 512k; client_body_buffer_size 512k;
  proxy_cache_path ${directory}/cache keys_zone=cache:1m;
  upstream backend { server 127.0.0.1:${ports.backend}; keepalive 4; }
  server {
    listen 127.0.0.1:${ports.http};
    listen 127.0.0.1:${ports.tls} ssl; ssl_certificate ${directory}/cert.pem; ssl_certificate_key ${directory}/key.pem;
    ssl_buffer_size 64k;
    location /file/ { alias ${directory}/root/; }
    location /sendfile/ { alias ${directory}/root/; sendfile on; tcp_nopush on; }
    location /direct/ { alias ${directory}/root/; directio 64k; }
    location /threads/ { alias ${directory}/root/; aio threads; }
    location /gzip/ { alias ${directory}/root/; gzip on; gzip_types *; gzip_proxied any; }
    location /sub/ { alias ${directory}/root/; sub_filter_types *; sub_filter aaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbb; sub_filter_once off; }
    location /put/ { alias ${directory}/put/; dav_methods PUT DELETE MOVE; create_full_put_path on; }
    location /buffered/ { ${up} }
    location /spilled/ { proxy_buffers 4 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 64k; ${up} }
    location /stored/ { proxy_store ${directory}/stored$uri; proxy_store_access user:rw all:r; ${up} }
    location /unbuffered/ { proxy_buffering off; proxy_request_buffering off; proxy_buffer_size 256k; ${up} }
    location /cached/ { proxy_cache cache; proxy_cache_valid 200 1m; proxy_ignore_headers X-Accel-Expires; ${up} }
    location /tofile/ { client_body_in_file_only clean; ${up} }
    location /sliced/ { slice 512k; proxy_set_header Range ""; ${up} }
    location /again/ { proxy_pass http://127.0.0.1:${ports.http}/unbuffered/; }
    location /mirrored/ { mirror /buffered/9/1; ${up} }
  }
}
stream {
  proxy_buffer_size 256k;
  server { listen 127.0.0.1:${ports.stream}; proxy_pass 127.0.0.1:${ports.backend}; }
}`;
}

async function prepare(context: Context, ports: Ports): Promise<void> {
  const { directory } = context;
  for (const name of ["root", "put", "body", "stored", "proxy", "cache"]) {
    mkdirSync(join(directory, name), { recursive: true });
    if (process.getuid?.() === 0) chownSync(join(directory, name), www, www);
  }
  chmodSync(directory, 0o755);
  for (const path of paths) {
    mkdirSync(join(directory, "root", path, ".."), { recursive: true });
    writeFileSync(join(directory, "root", path), bodyOf(path));
  }
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  words.push("-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem");
  await context.succeed("openssl", words, { plain: true });
  const module = "/usr/lib/nginx/modules/ngx_stream_module.so";
  writeFileSync(join(directory, "nginx.conf"), `load_module ${module};${configuration(directory, ports)}`);
}

async function downloads(checks: Checks, ports: Ports): Promise<void> {
  const tasks: (() => Promise<void>)[] = [];
  const ask = (name: string, wanted: Omit<Exchange, "path">, path: string, expected = bodyOf(path)) =>
    tasks.push(() => checks.download(`GET ${name}${path}`, { ...wanted, path: `/${name}${path}` }, expected));
  const files = ["file", "sendfile", "direct", "threads", "gzip"];
  const proxied = ["buffered", "spilled", "stored", "unbuffered", "cached", "again", "mirrored"];
  for (const path of paths) {
    for (const name of files) ask(name, { port: ports.http }, path);
    for (const name of [...files, ...proxied]) ask(name, { port: ports.tls, tls: true }, path);
    const subbed = Buffer.from(bodyOf(path).toString("latin1").replaceAll("a".repeat(16), "b".repeat(16)), "latin1");
    ask("sub", { port: ports.http }, path, subbed);
    for (const name of proxied) ask(name, { port: ports.http }, path);
    for (const name of proxied) ask(name, { port: ports.http }, path);
    for (const name of proxied.slice(0, 4)) ask(name, { port: ports.http, pauseMs: 3 }, path);
    tasks.push(() => checks.download(`GET stream${path}`, { port: ports.stream, path }));
  }
  for (const name of proxied) {
    const path = "/7/3000000chunked";
    tasks.push(() =>
      checks.download(`GET ${name} chunked`, { port: ports.http, path: `/${name}${path}` }, bodyOf(path)),
    );
    const abandoned = { port: ports.http, path: `/${name}/6/5000000`, abandonAfter: 300_000 };
    tasks.push(() => exchange(abandoned).then(() => undefined));
  }
  await atOnce(6, tasks);
}

async function uploads(checks: Checks, ports: Ports, directory: string): Promise<void> {
  const tasks: (() => Promise<void>)[] = [];
  for (const [index, name] of ["buffered", "unbuffered", "tofile", "again", "unbuffered/slow"].entries())
    for (const length of [1000, 65536, 400_000, 3_000_001]) {
      const body = bodyOf(`/${20 + index}/${length}`);
      const path = `/${name}/put`;
      tasks.push(() => checks.upload(`PUT ${name} ${length}`, { port: ports.http, path, body }));
      tasks.push(() => checks.upload(`PUT TLS ${name} ${length}`, { port: ports.tls, tls: true, path, body }));
      const headers = { "transfer-encoding": "chunked" };
      tasks.push(() => checks.upload(`PUT chunked ${name} ${length}`, { port: ports.http, path, body, headers }));
    }
  for (const length of [1000, 600_000, 4_000_000])
    tasks.push(() =>
      checks.check(`PUT into a file ${length}`, async () => {
        const body = bodyOf(`/30/${length}`);
        const { status } = await exchange({ port: ports.http, method: "PUT", path: `/put/${length}`, body });
        if (status !== 201) return `status ${status}`;
        return differenceOf(readFileSync(join(directory, "put", String(length))), body);
      }),
    );
  await atOnce(6, tasks);
}

/** New workers take over while old ones are sending. */
async function reload(checks: Checks, ports: Ports, master: number): Promise<void> {
  const path = "/6/5000000";
  const tasks = ["buffered", "unbuffered", "file", "spilled"].map((name) =>
    checks.download(
      `GET ${name} while reloading`,
      { port: ports.http, path: `/${name}${path}`, pauseMs: 5 },
      bodyOf(path),
    ),
  );
  await sleep(200);
  process.kill(master, "SIGHUP");
  await sleep(500);
  tasks.push(checks.download("GET after reloading", { port: ports.http, path: `/buffered${path}` }, bodyOf(path)));
  await Promise.all(tasks);
}

export const nginx: Program = {
  name: "nginx",
  title: "nginx",
  what:
    "master as root, two workers as www-data: files (sendfile, read, directio, threads, gzip, sub_filter), reverse proxy " +
    "(buffered, unbuffered, spilled to files, stored, cached, to itself), stream proxy, TLS, uploads, slow and vanishing " +
    "clients, reload",
  debianPackages: ["nginx", "libnginx-mod-stream", "openssl"],

  async run(context) {
    const backend = await startBackend();
    const checks = new Checks(context.log);
    try {
      const ports = { http: await context.freePort(), tls: 0, stream: 0, backend: backend.port };
      ports.tls = await context.freePort();
      ports.stream = await context.freePort();
      await prepare(context, ports);
      const server = context.start("nginx", ["-p", context.directory, "-c", join(context.directory, "nginx.conf")]);
      await context.untilListening(ports.http);
      await downloads(checks, ports);
      await uploads(checks, ports, context.directory);
      await reload(checks, ports, server.pid);
      await checks.check("temporary files are gone", () => readdirSync(join(context.directory, "body")).join(" "));
      const end = await server.stop("SIGQUIT");
      checks.same.end = `${end.status} ${end.signal} ${end.stderr}`;
      const errors = readFileSync(join(context.directory, "error.log"), "latin1").split("\n");
      checks.same.errors = errors.filter((line) => /\[(error|crit|alert|emerg)\]/.test(line)).join("\n");
      return checks.outcome;
    } finally {
      backend.close();
    }
  },
};
