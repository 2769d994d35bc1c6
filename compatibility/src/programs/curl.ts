import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import type { Program } from "../program.js";
import { bytesOfSeed, sha256, sha256OfFile, writeFileOfSeed } from "../stream.js";

const bodyBytes = 6 << 20;

/** Sends `body`, or the hash of what it receives. Runs in this process, without zIO. */
function serve(body: Buffer): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method === "GET") {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      const part = from === undefined ? body : body.subarray(Number(from), Number(to) + 1);
      if (request.url === "/chunked")
        for (let at = 0; at < part.length; at += 70_001) response.write(part.subarray(at, at + 70_001));
      else response.writeHead(from === undefined ? 200 : 206, { "content-length": part.length }).write(part);
      response.end();
      return;
    }
    const hash = createHash("sha256");
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      hash.update(chunk);
      length += chunk.length;
    });
    request.on("end", () => response.end(`${request.method} ${length} ${hash.digest("hex")}\n`));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

export const curl: Program = {
  name: "curl",
  title: "curl",
  what: "downloads (plain, chunked, ranges, resumed, compressed, eight at once), uploads (PUT, POST, form, chunked), file://",
  debianPackages: ["curl"],

  async run(context) {
    const body = bytesOfSeed(5, bodyBytes);
    const server = await serve(body);
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
    const upload = join(context.directory, "upload");
    writeFileOfSeed(upload, 9, bodyBytes + 12_345);
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const curls = async (name: string, args: string[], file?: string) => {
      const { status, stdout, stderr } = await context.run("curl", ["-sS", "-q", ...args]);
      same[name] = `${status} ${sha256(stdout)} ${stderr} ${file ? sha256OfFile(join(context.directory, file)) : ""}`;
      if (status !== 0) failed.push(`${name} succeeds`);
    };
    try {
      await curls("GET", [`${url}/`]);
      await curls("GET to a file", ["-o", "download", `${url}/`], "download");
      await curls("GET chunked", [`${url}/chunked`]);
      await curls("GET without keep-alive, HTTP/1.0", ["-0", `${url}/chunked`]);
      await curls("a range", ["-r", "1000000-3999999", `${url}/`]);
      await curls("two ranges in one connection", ["-r", "0-2999999", `${url}/a`, "-r", "17-2000000", `${url}/b`]);
      await curls("large receive buffer", ["--limit-rate", "200M", `${url}/`]);
      await curls(
        "eight at once",
        ["-Z", "--no-progress-meter", ...[..."12345678"].flatMap((n) => ["-o", `p${n}`, `${url}/${n}`])],
        "p8",
      );
      await curls("PUT", ["-T", upload, `${url}/`]);
      await curls("PUT from a pipe, chunked", ["-T", "-", `${url}/`]);
      await curls("POST", ["-H", "Expect:", "--data-binary", `@${upload}`, `${url}/`]);
      await curls("a form", [
        "-F",
        "a=b",
        "-H",
        "Content-Type: multipart/form-data; boundary=x",
        "-F",
        `f=@${upload};filename=f`,
        `${url}/`,
      ]);
      await curls("file://", [`file://${upload}`]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const expected = sha256(body);
    const files = ["GET to a file", "eight at once"];
    failed.push(
      ...files.filter((name) => !same[name]?.endsWith(expected)).map((name) => `${name}: the body arrives whole`),
    );
    // The boundary of a form is random.
    delete same["a form"];
    return { checks: 2, failed, same };
  },
};
