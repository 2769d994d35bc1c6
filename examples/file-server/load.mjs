// Files of half a megabyte to four, downloaded again and again by clients at a time, each compared.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { check, contentOf } from "../content.mjs";

const sizes = [1 << 19, (1 << 20) + 1, 3_000_000, 1 << 22];

export async function open() {
  const directory = mkdtempSync(join(tmpdir(), "zio-example-files-"));
  const files = sizes.map((bytes, index) => ({ name: `file-${index}`, content: contentOf(index, bytes) }));
  for (const { name, content } of files) writeFileSync(join(directory, name), content);
  const agent = new Agent({ keepAlive: true });

  function download(port, { name, content }) {
    return new Promise((resolve, reject) => {
      const path = `/${name}`;
      get({ host: "127.0.0.1", port, path, agent }, (answer) => buffer(answer).then(resolve, reject)).on(
        "error",
        reject,
      );
    }).then((body) => check(body, content, name));
  }

  return {
    program: new URL("server.mjs", import.meta.url),
    args: ["--root", directory],
    /** Downloads every file twice at a time and gives the bytes that were served. */
    async round(port) {
      const wanted = [...files, ...files];
      await Promise.all(wanted.map((file) => download(port, file)));
      return wanted.reduce((sum, { content }) => sum + content.length, 0);
    },
    close() {
      agent.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
