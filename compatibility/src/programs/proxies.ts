// TCP proxies in other languages' runtimes, between a client and a server that know every byte.
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { atOnce, bodyOf, Checks, exchange, startBackend } from "../http.js";
import type { Context, Outcome, Program } from "../program.js";

const paths = ["/1/0", "/2/1000", "/3/65536", "/4/700001", "/5/5000000"];

async function through(checks: Checks, port: number, title: string): Promise<void> {
  const tasks: (() => Promise<void>)[] = [];
  for (const path of [...paths, ...paths]) {
    tasks.push(() => checks.download(`${title}: GET ${path}`, { port, path }));
    tasks.push(() => checks.download(`${title}: GET ${path} slowly`, { port, path, pauseMs: 2 }));
  }
  for (const length of [1000, 400_000, 3_000_001])
    for (const path of ["/put", "/slow"]) {
      const body = bodyOf(`/20/${length}`);
      tasks.push(() => checks.upload(`${title}: PUT ${length} ${path}`, { port, path, body }));
    }
  tasks.push(() => exchange({ port, path: "/5/5000000", abandonAfter: 300_000 }).then(() => undefined));
  await atOnce(4, tasks);
}

type Start = (context: Context, port: number, backend: number) => [command: string, args: string[]];

async function proxied(context: Context, kinds: Record<string, Start>): Promise<Outcome> {
  const backend = await startBackend();
  const checks = new Checks(context.log);
  try {
    for (const [title, start] of Object.entries(kinds)) {
      const port = await context.freePort();
      const server = context.start(...start(context, port, backend.port));
      await context.untilListening(port, 60_000);
      await through(checks, port, title);
      const end = await server.stop();
      checks.same[`${title}: end`] = `${end.status} ${end.signal} ${end.stdout}`;
    }
    return checks.outcome;
  } finally {
    backend.close();
  }
}

export const java: Program = {
  name: "java",
  title: "OpenJDK",
  what: "a TCP proxy on java.nio: direct buffers, heap buffers, both with copies between; a collection after each event",
  debianPackages: ["openjdk-17-jdk-headless"],
  run(context) {
    const start =
      (kind: string, ...options: string[]): Start =>
      ({ directory }, port, backend) => [
        "java",
        [...options, "-Xmx256m", "-cp", directory, "Proxy", String(port), String(backend), kind],
      ];
    return context
      .succeed("javac", ["-d", context.directory, context.material("java/Proxy.java")], { plain: true })
      .then(() =>
        proxied(context, {
          direct: start("direct"),
          heap: start("heap"),
          "heap, interpreted": start("heap", "-Xint"),
          "direct to heap to direct": start("twice"),
          "with ZGC": start("twice", "-XX:+UseZGC"),
        }),
      );
  },
};

export const go: Program = {
  name: "go",
  title: "Go with cgo",
  what:
    "a TCP proxy whose data goes through libc and through Go's memory, a collection with every fourth message. (A program " +
    "without cgo is static and makes its own system calls: nothing can be preloaded into it)",
  debianPackages: ["golang-1.19-go", "gcc"],
  async run(context) {
    copyFileSync(context.material("go/proxy.go"), join(context.directory, "proxy.go"));
    const env = { CGO_ENABLED: "1", GOFLAGS: "-p=2", GOTOOLCHAIN: "local", GO111MODULE: "off", GOPROXY: "off" };
    const go = "/usr/lib/go-1.19/bin/go";
    await context.succeed(go, ["build", "-o", "proxy", "proxy.go"], { plain: true, env, timeoutMs: 300_000 });
    return proxied(context, {
      cgo: ({ directory }, port, backend) => [join(directory, "proxy"), [String(port), String(backend)]],
    });
  },
};
