import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bodyOf, Checks, exchange } from "../http.js";
import type { Program } from "../program.js";

function configuration(directory: string, port: number): string {
  const owner =
    process.getuid?.() === 0 ? "<changeowner><user>icecast2</user><group>icecast</group></changeowner>" : "";
  return `<icecast><limits><clients>50</clients><sources>4</sources><queue-size>16777216</queue-size>
<client-timeout>30</client-timeout><header-timeout>15</header-timeout><source-timeout>20</source-timeout>
<burst-on-connect>1</burst-on-connect><burst-size>4194304</burst-size></limits>
<authentication><source-password>hackme</source-password><admin-user>admin</admin-user>
<admin-password>hackme</admin-password></authentication><hostname>localhost</hostname>
<listen-socket><port>${port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
<fileserve>1</fileserve><paths><basedir>${directory}</basedir><logdir>${directory}/log</logdir>
<webroot>${directory}/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
<security><chroot>0</chroot>${owner}</security></icecast>`;
}

export const icecast: Program = {
  name: "icecast",
  title: "Icecast with ffmpeg",
  what:
    "Icecast started as root with <changeowner>; ffmpeg encodes, and sends MP3, WAV and Ogg to it; listeners get one " +
    "unbroken piece of the stream, quick and slow; files from the web root",
  debianPackages: ["icecast2", "ffmpeg"],

  async run(context) {
    const { directory } = context;
    const checks = new Checks(context.log);
    const port = await context.freePort();
    for (const name of ["log", "web"]) mkdirSync(join(directory, name));
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, "web/file"), bodyOf("/6/5000000"));
    writeFileSync(join(directory, "icecast.xml"), configuration(directory, port));
    if (process.getuid?.() === 0) {
      const id = async (what: string, name: string) =>
        Number((await context.succeed("getent", [what, name], { plain: true })).stdout.toString().split(":")[2]);
      chownSync(join(directory, "log"), await id("passwd", "icecast2"), await id("group", "icecast"));
    }
    const tone = ["-f", "lavfi", "-i", "anoisesrc=d=60:r=44100:seed=7", "-ac", "2"];
    for (const [name, options] of [
      ["wav", ["-c:a", "pcm_s16le"]],
      ["mp3", ["-c:a", "libmp3lame", "-b:a", "320k"]],
    ] as const) {
      const words = ["-nostdin", "-v", "error", "-bitexact", ...tone, "-threads", "1", ...options, `input.${name}`];
      const { status, stderr } = await context.run("ffmpeg", words, { cwd: directory });
      checks.same[`ffmpeg encodes ${name}`] = `${status} ${stderr}`;
    }
    const server = context.start("icecast2", ["-c", join(directory, "icecast.xml")]);
    await context.untilListening(port);
    for (let i = 0; i < 4; i++) await checks.download(`a file, ${i}`, { port, path: "/file" }, bodyOf("/6/5000000"));

    for (const [name, type] of [
      ["mp3", "audio/mpeg"],
      ["wav", "application/octet-stream"],
    ] as const) {
      const copying = ["-i", `input.${name}`, "-c", "copy", "-bitexact", "-f", name];
      const copy = ["-nostdin", "-v", "error", ...copying, "pipe:1"];
      const sent = (await context.succeed("ffmpeg", copy, { cwd: directory, plain: true })).stdout;
      const target = `icecast://source:hackme@127.0.0.1:${port}/${name}`;
      const source = context.start(
        "ffmpeg",
        ["-nostdin", "-v", "error", "-readrate", "12", ...copying, "-content_type", type, target],
        { cwd: directory },
      );
      await sleep(1500);
      const listen = async (title: string, pauseMs: number, bytes: number) =>
        checks.check(`${title} listener of ${name}`, async () => {
          const { status, body } = await exchange({ port, path: `/${name}`, pauseMs, abandonAfter: bytes });
          if (status !== 200 || body.length < bytes) return `status ${status}, ${body.length} bytes`;
          const at = sent.indexOf(body.subarray(0, 256));
          if (at < 0) return "the first bytes are not the source's";
          const length = Math.min(body.length, sent.length - at);
          return body.subarray(0, length).equals(sent.subarray(at, at + length)) ? "" : "the stream is broken";
        });
      await Promise.all([listen("a quick", 0, 500_000), listen("a second", 0, 400_000), listen("a slow", 20, 300_000)]);
      const end = await source.finished;
      checks.same[`ffmpeg sends ${name}`] = `${end.status} ${end.signal} ${end.stderr}`;
    }
    const end = await server.stop();
    checks.same.end = `${end.status} ${end.signal}`;
    return checks.outcome;
  },
};
