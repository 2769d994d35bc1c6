import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Program } from "../program.js";
import { bytesOfSeed, sha256, sha256OfFile } from "../stream.js";

const pages = 5_000_000;

export const openssl: Program = {
  name: "openssl",
  title: "OpenSSL",
  what: "s_server and s_client (TLS 1.2, 1.3, large and small records) both ways, enc, dgst, cms and base64 of large files; hashes",
  debianPackages: ["openssl"],

  async run(context) {
    const same: Record<string, string> = {};
    const failed: string[] = [];
    const at = (name: string) => join(context.directory, name);
    const data = bytesOfSeed(31, pages);
    writeFileSync(at("page"), data);
    const subject = ["-subj", "/CN=localhost", "-days", "30"];
    await context.succeed(
      "openssl",
      ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", at("key"), "-out", at("certificate"), ...subject],
      { plain: true },
    );
    const pair = ["-key", at("key"), "-cert", at("certificate")];

    for (const [name, options] of Object.entries({
      "TLS 1.3": ["-tls1_3"],
      "TLS 1.2": ["-tls1_2"],
      "small records": ["-tls1_3", "-max_send_frag", "1024"],
      "large reads": ["-tls1_3", "-read_buf", "262144", "-split_send_frag", "16000"],
    })) {
      const port = await context.freePort();
      const web = context.start(
        "openssl",
        ["s_server", "-quiet", "-WWW", "-port", `${port}`, "-4", ...pair, ...options],
        { cwd: context.directory },
      );
      await context.untilListening(port);
      const ask = [
        "s_client",
        "-quiet",
        "-ign_eof",
        "-verify_quiet",
        "-connect",
        `127.0.0.1:${port}`,
        "-CAfile",
        at("certificate"),
        ...options,
      ];
      const got = await context.run("openssl", ask, { stdin: "GET /page HTTP/1.0\r\n\r\n", timeoutMs: 60_000 });
      const body = got.stdout.subarray(got.stdout.indexOf("\r\n\r\n") + 4);
      if (sha256(body) !== sha256(data)) failed.push(`${name}: the page arrives whole (${body.length} bytes)`);
      same[`${name}: down`] = `${got.status} ${got.stdout.length}`;
      await web.stop();

      const other = await context.freePort();
      // It sends its input too, and ends with it: an input that stays open.
      const command = [
        "openssl",
        "s_server",
        "-quiet",
        "-naccept",
        "1",
        "-port",
        `${other}`,
        "-4",
        ...pair,
        ...options,
      ];
      const sink = context.start("bash", ["-c", 'exec "$@" < <(exec sleep 120)', "bash", ...command], {
        stdoutFile: at("sunk"),
      });
      await untilListening(other);
      const sent = await context.run(
        "openssl",
        [
          "s_client",
          "-quiet",
          "-verify_quiet",
          "-no_ign_eof",
          "-nocommands",
          "-connect",
          `127.0.0.1:${other}`,
          ...options,
        ],
        { stdin: data, timeoutMs: 60_000 },
      );
      const end = await sink.finished;
      if (sha256OfFile(at("sunk")) !== sha256(data)) failed.push(`${name}: what is sent arrives whole`);
      same[`${name}: up`] = `${sent.status} ${end.status}`;
    }

    const run = async (name: string, script: string) => {
      const { status, stdout, stderr } = await context.run("bash", ["-c", `set -o pipefail; ${script}`]);
      same[name] = `${status} ${sha256(stdout)} ${stderr}`;
      if (status !== 0) failed.push(`${name} succeeds`);
    };
    const key =
      "-K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 000102030405060708090a0b0c0d0e0f";
    for (const cipher of ["aes-256-ctr", "aes-256-cbc", "chacha20"]) {
      await run(`${cipher}`, `openssl enc -${cipher} ${key} -bufsize 300000 -in page`);
      await run(
        `${cipher} and back`,
        `openssl enc -${cipher} ${key} < page | openssl enc -d -${cipher} ${key} -bufsize 1048576 | cmp - page`,
      );
    }
    await run(
      "digests",
      "for d in sha256 sha512 md5 blake2b512; do openssl dgst -$d < page; cat page page | openssl dgst -$d; done",
    );
    await run("base64", "openssl base64 -in page | openssl base64 -d | cmp - page");
    await run(
      "signature",
      "openssl dgst -sha256 -sign key -out signature page && openssl dgst -sha256 -signature signature -prverify key page",
    );
    await run(
      "cms",
      "openssl cms -encrypt -binary -stream -in page -outform DER -out sealed certificate && openssl cms -decrypt -binary -inform DER -in sealed -inkey key | cmp - page",
    );
    return { checks: 8, failed, same };
  },
};

/** Waits until a process listens, without connecting: `-naccept 1` would count that. */
async function untilListening(port: number): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  for (let attempt = 0; attempt < 400; attempt++) {
    const listening = readFileSync("/proc/self/net/tcp", "utf8")
      .split("\n")
      .some((line) => line.includes(wanted) && / 0A /.test(line));
    if (listening) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("s_server does not listen");
}
